"""`quorate support`: what is in the archive, and that no secret is, whatever hosts say."""

import asyncio
import io
import json
import re
import stat
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import secret_forms
from fake_hosts import FACTS, Hosts

from quorate.procedure import support
from quorate.resource.ask import MARK

Quorate = Callable[..., tuple[int, str, str]]
CLUSTER = """\
name: base
versions: {kubernetes: "1.20.2"}
endpoint: {vip: 10.77.1.100, port: 8443}
ssh: {sudo_password_file: sudo, user: ops}
runtime: {registry_access: {"r.example:5000": {login_file: login}}}
os: {proxy: {url: "http://10.77.1.5:3128", login_file: way}}
hosts:
  - {name: m1, address: 10.77.1.11, roles: [control-plane, etcd, load-balancer]}
  - {name: m2, address: 10.77.1.12, roles: [control-plane, etcd, load-balancer]}
  - {name: m3, address: 10.77.1.13, roles: [control-plane, etcd]}
  - {name: n1, address: 10.77.1.21, roles: [worker]}
"""
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GIVEN = {"sudo": "Tr0ub4dor&3", "login": "robot$ci:p%ss:w0rd", "way": "squid:0ut-0f-h3re"}
FOREIGN = {
    "a token of a service account": "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9m",
    "a token to join": "abcdef.0123456789abcdef",
    "a key of age": "AGE-SECRET-KEY-1QQPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ3J5M",
    "a login in a URL": "proxyuser:proxypass",
    "a password by its name": "hunter2hunter2",
    "a header": "dXNlcjpwYXNzd29yZA==",
    "a line of somebody's key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "a kubeconfig's key": "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg",
    "a login of Docker": "cm9ib3Q6c2VjcmV0",
}
SAYS = """\
got a token {0}, and another: {1}
identity {2}
proxy is http://{3}@10.0.0.1:3128/
{{"level":"info","dbPassword":"{4}"}} and --etcd-password={4} and \\"password\\": \\"{4}\\"
Authorization: Basic {5}
11:00:01 m1 x[1]: -----BEGIN PRIVATE KEY-----
11:00:01 m1 x[1]: {6}
11:00:01 m1 x[1]: -----END PRIVATE KEY-----
    client-key-data: {7}
{{"auths": {{"r": {{"auth": "{8}"}}}}}}
an innocent line
""".format(*FOREIGN.values())


def is_ours(script: str) -> bool:
    return f"-n {support.LINES} " in script


class Telling:
    """Hosts that say everything that they know, in every journal and every file."""

    def __init__(self, said: str = "") -> None:
        self.said = said

    def act(self, _host: str, script: str) -> str:
        if "os_id=" in script:
            return f"{FACTS}interface=eth0\n"
        if not is_ours(script):
            return ""
        names = list(support.questions(NOW))
        files = f"\x04/etc/kubernetes/kubelet.yaml\n{self.said}\x04/etc/../root/x\nout\x04relative\nout\n"
        answers = {name: f"{name}\n{self.said}" for name in names} | {"files": files}
        return "\x02script\n" + "".join(f"{MARK}{n}\n{answers[name]}" for n, name in enumerate(names))


@pytest.fixture
def built(quorate: Quorate, hosts: Hosts, file: Path) -> Path:
    """A cluster with a state folder, whose first apply failed; returns the folder."""
    file.write_text(CLUSTER)
    for name, text in GIVEN.items():
        (file.parent / name).write_text(f"{text}\n")
        (file.parent / name).chmod(0o600)
    hosts.acts = Telling().act
    assert quorate("apply", "--yes")[0] == 7
    return file.parent / ".quorate/base"


def known(state: Path) -> dict[str, tuple[bytes, ...]]:
    """Every secret that there is, in every form: as the search of the lab looks for them."""
    passwords = {f"password of {name}": GIVEN[name].partition(":")[2] for name in ("login", "way")}
    plain = {**GIVEN, **passwords}
    found = secret_forms.of_state(state) | {name: secret_forms.plain(text.encode()) for name, text in plain.items()}
    assert len(found) > 15
    assert {"encryption-key", "ca.key"} <= found.keys()
    return found | {name: (text.encode(),) for name, text in FOREIGN.items()}


def opened(path: Path) -> dict[str, str]:
    """The texts of an archive, below its one folder."""
    with tarfile.open(path, "r:gz") as archive:
        members = archive.getmembers()
        assert all(member.isreg() and not member.name.startswith("/") for member in members)
        assert len({member.name.partition("/")[0] for member in members}) == 1
        found = {}
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            found[member.name.partition("/")[2]] = content.read().decode()
        return found


def test_no_secret_is_in_it_whatever_hosts_say(quorate: Quorate, hosts: Hosts, file: Path, built: Path) -> None:
    secrets = known(built)
    # Of secrets that quorate does not know, only what has their look or name is told from any other word.
    forms = b"\n".join(form for name in secrets.keys() - FOREIGN for form in secrets[name]).decode()
    keys = "".join(path.read_text() for path in sorted(built.glob("pki/*.key")))
    telling = Telling(f"{SAYS}{forms}\n{keys}")
    assert set(secret_forms.within(telling.said.encode(), secrets)) == secrets.keys(), "the search itself finds"
    file.write_text(f"{file.read_text()}# {GIVEN['sudo']}\n")
    hosts.acts = telling.act
    code, _, err = quorate("support", "-o", "s.tar.gz")
    assert (code, err) == (0, "")
    texts = opened(Path("s.tar.gz"))
    for name, text in texts.items():
        assert secret_forms.within(f"{name}\n{text}".encode(), secrets) == [], name
    assert secret_forms.within(Path("s.tar.gz").read_bytes(), secrets) == []
    journal = texts["hosts/m1/journal/etcd.service.txt"]
    assert "an innocent line" in journal
    assert journal.count("(secret)") > 50
    assert int(re.search(r"(\d+) secrets hidden", texts["CONTENTS.txt"])[1]) > 500  # type: ignore[index]


def test_what_is_in_it(quorate: Quorate, hosts: Hosts, file: Path, built: Path) -> None:
    hosts.acts = Telling("said\n").act
    code, out, _ = quorate("support", "-o", "s.tar.gz")
    assert code == 0
    texts = opened(Path("s.tar.gz"))
    assert {"CONTENTS.txt", "versions.txt", "status.txt", "status.json", "plan.txt", "cluster.yaml"} <= texts.keys()
    assert {"state/history.txt", "state/journal.jsonl"} <= texts.keys()
    for host in ("m1", "m2", "m3", "n1"):
        for name in ("versions.txt", "units.txt", "host.txt", "journal/kubelet.service.txt", "journal/kernel.txt"):
            assert texts[f"hosts/{host}/{name}"].startswith(f"{name}\n")
        assert texts[f"hosts/{host}/files/etc/kubernetes/kubelet.yaml"] == "said\n"
    assert not [name for name in texts if ".." in name or "relative" in name]
    assert texts["cluster.yaml"] == CLUSTER
    assert "quorate 0." in texts["versions.txt"]
    assert "m1:\nversions.txt" in texts["versions.txt"]
    assert "failed" in texts["state/history.txt"]
    assert "to create" in texts["plan.txt"]
    assert "etcd has no leader" in texts["status.txt"]
    for name, text in texts.items():
        assert name == "CONTENTS.txt" or f"{len(text.encode()):>9}  {name}\n" in texts["CONTENTS.txt"]
    for told in (out, texts["CONTENTS.txt"]):
        assert "Look at it before you send it" in " ".join(told.split())
    assert stat.S_IMODE(Path("s.tar.gz").stat().st_mode) == 0o600


def test_a_name_is_made_for_it(quorate: Quorate, built: Path) -> None:
    code, out, _ = quorate("support", "--json")
    told = json.loads(out)
    assert code == told["exit_code"] == 0
    assert re.fullmatch(r"base-support-\d{8}T\d{6}Z\.tar\.gz", told["file"])
    assert Path(told["file"]).stat().st_size == told["bytes"]
    assert told["files"].keys() == opened(Path(told["file"])).keys()


def test_dead_and_hanging_hosts_are_named_and_not_waited_for(
    quorate: Quorate, hosts: Hosts, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.lost["m3"] = "no route"
    hosts.acts = Telling("said\n").act
    real = hosts.run

    async def run(host: str, script: str, **more: Any) -> str:
        if host == "m2" and is_ours(script):
            await asyncio.sleep(600)
        return await real(host, script, **more)

    monkeypatch.setattr(hosts, "run", run)
    monkeypatch.setattr(support, "ANSWER_WITHIN_S", 0.2)
    code, out, _ = quorate("support", "-o", "s.tar.gz")
    texts = opened(Path("s.tar.gz"))
    assert code == 6
    assert texts["hosts/m3/unreachable.txt"] == "no route\n"
    assert texts["hosts/m2/unreachable.txt"] == "no whole answer within 0.2 s\n"
    assert "hosts/n1/journal/kubelet.service.txt" in texts
    assert "m3: no route\n" in texts["failed.txt"]
    assert "unreachable  m3  no route" in out
    assert "unreachable  m2  no whole answer within 0.2 s" in out


def test_the_rest_is_written_where_a_piece_can_not_be_had(
    quorate: Quorate, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_words: object, **_more: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("quorate.cli.look.prepare", broken)
    code, out, _ = quorate("support", "-o", "s.tar.gz")
    texts = opened(Path("s.tar.gz"))
    assert code == 0
    assert "plan.txt" not in texts
    assert "plan: a bug in quorate: ZeroDivisionError: a bug" in texts["failed.txt"]
    assert "status.txt" in texts
    assert "left out     plan" in out


def test_only_an_archive_of_ours_is_replaced(quorate: Quorate, hosts: Hosts, built: Path) -> None:
    hosts.scripts.clear()
    foreign = io.BytesIO()
    with tarfile.open(fileobj=foreign, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("CONTENTS.txt"))
    for content in (b"a letter\n", foreign.getvalue(), b""):
        Path("mine").write_bytes(content)
        code, _, err = quorate("support", "-o", "mine")
        assert code == 1
        assert "mine is there already and is no archive of ours" in err
        assert Path("mine").read_bytes() == content
    assert quorate("support", "-o", "nowhere/s.tar.gz")[0] == 1
    assert hosts.scripts == [], "it is refused before any host is asked"
    assert quorate("support", "-o", "s.tar.gz")[0] == 0
    before = Path("s.tar.gz").stat().st_ino
    assert quorate("support", "-o", "s.tar.gz")[0] == 0
    assert Path("s.tar.gz").stat().st_ino != before
    assert not list(Path().glob(".s.tar.gz*")), "nothing half written stays"
