"""What `quorate support` asks a host, by a real shell, real files and a real journal; and what it hides in texts."""

import json
import os
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from own_journal import THERE, said
from own_root import OURS, Root

from quorate.plan.redact import Redactor
from quorate.procedure import support, support_archive
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.logins import HIDDEN
from quorate.state.history import JournalRun
from quorate.state.store import Store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def test_files_of_ours_are_taken_that_everybody_may_read(tmp_path: Path) -> None:
    root = Root(tmp_path, (*OURS, "etc/kubernetes"))
    made = {
        "etc/test/open.conf": ("open\n", 0o644),
        "etc/test/closed.conf": ("closed\n", 0o600),
        "etc/test/group.conf": ("closed\n", 0o640),
        "etc/test/open.key": ("closed\n", 0o644),
        "etc/test/kubeconfig": ("closed\n", 0o644),
        "etc/test/large.conf": ("x" * (support.LARGEST + 1), 0o644),
        "etc/test/binary": ("a\0b", 0o755),
        "etc/test/it's $(touch ran) `odd`": ("odd\n", 0o644),
        "etc/kubernetes/kubelet.yaml": ("ours\n", 0o600),
        "etc/kubernetes/encryption.yaml": ("closed\n", 0o600),
        "etc/test/others": ("not ours\n", 0o644),
        "etc/test/replaced": ("replaced\n", 0o644),
    }
    for path, (text, mode) in made.items():
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(mode)
    (root.etc / "link").symlink_to("open.conf")
    names = [f"/{path}" for path in made if path not in ("etc/test/others", "etc/test/replaced")]
    (root.state / "made").write_text("".join(f"{name}\n" for name in (*names, "/etc/test/link", "/etc/test/gone")))
    (root.state / "found/etc/test").mkdir(parents=True)
    (root.state / "found/etc/test/replaced").write_text("as it was found\n")
    cluster = Cluster(name="c", hosts=(Host(name="h", address="10.0.0.1", roles=(Role.CONTROL_PLANE, Role.ETCD)),))
    found = await support.gather(cluster, root.via, NOW)
    assert found.lost == {}
    texts = {name.removeprefix("files/"): text for name, text in found.texts["h"].items() if name.startswith("files/")}
    assert texts == {
        "etc/test/open.conf": "open\n",
        "etc/test/it's $(touch ran) `odd`": "odd\n",
        "etc/kubernetes/kubelet.yaml": "ours\n",
        "etc/test/replaced": "replaced\n",
    }
    assert not Path("/ran").exists()
    assert os.uname().release in found.texts["h"]["versions.txt"]
    assert "load average" in found.texts["h"]["host.txt"]


@pytest.mark.skipif(os.geteuid() != 0 or not THERE, reason="needs root and journald")
def test_journals_are_of_our_units_and_limited() -> None:
    entries = [("etcd.service", "etcd", f"word {number}") for number in range(support.LINES + 5)]
    asked = support.questions(datetime.now(UTC) - timedelta(hours=1))["journal/etcd.service.txt"]
    words = [
        line.partition("]: ")[2] for line in said([*entries, ("ssh.service", "sshd", "of others")], asked).splitlines()
    ]
    assert words == [f"word {number}" for number in range(5, support.LINES + 5)]
    later = support.questions(datetime.now(UTC) + timedelta(hours=1))["journal/etcd.service.txt"]
    assert said(entries, later) == ""


def run(began: datetime, **end: object) -> JournalRun:
    return JournalRun(1, {"time": began.isoformat()}, [], {"ok": False, **end})


@pytest.mark.parametrize(
    ("runs", "moment"),
    [
        ([], NOW - timedelta(hours=1)),
        ([run(NOW - timedelta(hours=3))], NOW - timedelta(hours=3, minutes=5)),
        ([run(NOW - timedelta(hours=3), ok=True)], NOW - timedelta(hours=1)),
        ([run(NOW - timedelta(hours=3)), run(NOW - timedelta(hours=2), ok=True)], NOW - timedelta(hours=1)),
        ([run(NOW - timedelta(days=9))], NOW - timedelta(days=1)),
        ([run(NOW + timedelta(hours=1))], NOW - timedelta(minutes=5)),
        ([JournalRun(1, {"time": "torn"}, [], {"ok": False})], NOW - timedelta(hours=1)),
        ([JournalRun(1, {"time": "2026-11-23"}, [], {"ok": False})], NOW - timedelta(hours=1)),
    ],
)
def test_journals_begin_a_little_before_a_failed_run(runs: list[JournalRun], moment: datetime) -> None:
    assert support.since(runs, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "ask_password: true, automountServiceAccountToken: false, tokenTTL: 24h, token: 10m",
        "password_file: /etc/x, --token-auth-file=/etc/tokens.csv",
        "https://10.0.0.1:6443/api?x=y@z and mail to ann@example.org",
        "a secret was created; the token is valid",
        "sha256:0123456789abcdef0123456789abcdef",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor(["correct-horse"]).clean(text) == text


@pytest.mark.parametrize(
    "form", [str, str.upper, lambda text: text.encode().hex(), lambda text: text.encode().hex().upper()]
)
def test_a_known_secret_is_hidden_in_every_form(form: Callable[[str], str]) -> None:
    redactor = Redactor(["CORRECT-HORSE", "correct-horse", "tiny", ""])
    assert redactor.clean(f"<{form('correct-horse')}> tiny") == f"<{HIDDEN}> tiny"
    assert redactor.hidden == 1


def test_a_key_without_its_end_is_hidden_to_the_last() -> None:
    assert Redactor([]).clean("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\nmore") == f"a\n{HIDDEN}"


PASSWORD = "p\u00e4ss w/or'd\"%$x"


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        json.dumps(PASSWORD)[1:-1],
        json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
        repr(PASSWORD)[1:-1],
        shlex.quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote(PASSWORD, safe="").replace("%", "%%"),
        quote_plus(PASSWORD).lower(),
        r"p\303\244ss w/or'd\"%$x",
    ],
)
def test_a_password_is_hidden_as_programs_write_it(form: str) -> None:
    assert Redactor([PASSWORD]).clean(f"said <{form}> there").strip("'") in (
        f"said <{HIDDEN}> there",
        f"said <'{HIDDEN}'> there",
    )


def test_what_follows_an_option_for_a_secret_is_hidden() -> None:
    assert Redactor([]).clean("docker login --password hunter2 --username me r") == (
        f"docker login --password {HIDDEN} --username me r"
    )
    assert Redactor([]).clean("curl --auth-token 'abc' x") == f"curl --auth-token '{HIDDEN}' x"
    assert Redactor([]).clean("the password is wrong") == "the password is wrong"


def test_passwords_of_the_way_to_hosts_are_known(tmp_path: Path) -> None:
    way = tmp_path / "way"
    way.write_text("correct-horse\n")
    way.chmod(0o600)
    ssh = {"jump": {"host": "bastion", "password_file": str(way)}}
    host = {"name": "m1", "address": "10.77.1.11", "roles": ["control-plane", "etcd"]}
    cluster = Cluster.model_validate_json(json.dumps({"name": "tiny", "hosts": [host], "ssh": ssh}))
    assert "correct-horse" in set(support_archive.secrets(cluster, Store(tmp_path / "state")))
