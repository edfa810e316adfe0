"""Nonsense on the command line and in its files: refused in one line with a fix, and nothing is touched.

The cases of bad cluster files are those of tests/spec; here each goes through `apply` as a whole.
"""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_beside import BESIDE
from bad_file import Bad
from bad_rules import END_RULES, HOST_RULES, PART_RULES
from bad_text import SHAPE, YAML
from fake_hosts import Hosts

Quorate = Callable[..., tuple[int, str, str]]

CASES = (*YAML, *SHAPE, *HOST_RULES, *END_RULES, *PART_RULES, *BESIDE)
READERS = ("validate", "plan", "apply", "status", "verify", "kubeconfig", "artifacts", "trust", "destroy")
"""Verbs that read a cluster file."""
YES = {"apply": ("--yes",), "destroy": ("--yes", "demo")}


def tree(folder: Path) -> dict[str, str]:
    return {str(each): each.read_bytes().hex() if each.is_file() else "" for each in folder.rglob("*")}


def one_line(code: int, err: str) -> None:
    """An error as it must be."""
    assert code not in (0, 70), err
    assert err.startswith("error: ")
    assert "\nhint: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("bad", CASES, ids=str)
def test_a_bad_file_asks_no_host_and_makes_nothing(quorate: Quorate, hosts: Hosts, tmp_path: Path, bad: Bad) -> None:
    bad.write(tmp_path)
    before = tree(tmp_path)
    code, out, err = quorate("apply", "--yes", "--json")
    assert code == 3
    assert err == ""
    told = json.loads(out)["error"]
    assert any(each["field"] == bad.field and each["line"] == bad.line and each["fix"] for each in told["problems"])
    assert hosts.scripts == []
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", READERS)
@pytest.mark.parametrize("way", ["missing", "folder", "empty", "binary", "wrong"])
def test_every_verb_refuses_a_bad_file(quorate: Quorate, hosts: Hosts, tmp_path: Path, verb: str, way: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.unlink()
    if way == "folder":
        file.mkdir()
    elif way != "missing":
        file.write_bytes({"empty": b"", "binary": b"\x7fELF\xff", "wrong": b"name: demo\nhosts: 3\n"}[way])
    before = tree(tmp_path)
    code, out, err = quorate(verb, *YES.get(verb, ()))
    assert code == 3
    assert out == ""
    one_line(code, err)
    code, out, err = quorate(verb, *YES.get(verb, ()), "--json")
    assert (code, err) == (3, "")
    assert len(out.splitlines()) == 1 or json.loads(out)
    assert hosts.scripts == []
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("plan", "--nonsense"),
        ("plan", "too", "many"),
        ("plan", "-f"),
        ("plan", "--json=maybe"),
        ("lab", "nonsense"),
        ("lab", "cut"),
        ("apply", "--yes", "--replace"),
        ("kubeconfig", "-o"),
        ("adopt", "192.0.2.1", "--port", "0"),
        ("adopt", "192.0.2.1", "--port", "65536"),
        ("adopt", "192.0.2.1", "--user", "a b"),
        ("adopt", "192.0.2.1", "--user", ""),
    ],
    ids=" ".join,
)
def test_wrong_words(quorate: Quorate, hosts: Hosts, words: tuple[str, ...]) -> None:
    code, _, err = quorate(*words)
    assert code == 64
    one_line(code, err)
    assert hosts.scripts == []
    code, out, err = quorate(*words, "--json")
    assert (code, err) == (64, "")
    assert json.loads(out)["error"]["hint"]


@pytest.mark.parametrize("verb", ["plan", "apply", "trust"])
@pytest.mark.parametrize("name", ["nobody", "", "\x1b[2J", "master01 "])
def test_an_unknown_host_to_replace(quorate: Quorate, hosts: Hosts, tmp_path: Path, verb: str, name: str) -> None:
    code, _, err = quorate(verb, *YES.get(verb, ()), "--replace", name)
    assert code == 64
    one_line(code, err)
    assert "hosts: master01, node01" in err
    assert "\x1b" not in err
    assert hosts.scripts == []
    assert not (tmp_path / ".quorate").exists()


@pytest.mark.usefixtures("hosts")
def test_a_kubeconfig_that_has_no_place(quorate: Quorate, tmp_path: Path) -> None:
    quorate("apply", "--yes")
    (tmp_path / "folder").mkdir()
    for place in ("nowhere/admin.conf", "folder", "cluster.yaml/x", "/proc/admin.conf"):
        code, out, err = quorate("kubeconfig", "-o", place)
        assert code == 1, place
        one_line(code, err)
        assert "PRIVATE" not in out + err
        code, out, _ = quorate("kubeconfig", "-o", place, "--json")
        assert json.loads(out)["error"]["exit_code"] == code == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == [".quorate", "cluster.yaml", "folder"]


@pytest.mark.usefixtures("hosts")
def test_a_kubeconfig_does_not_take_the_place_of_something_else(quorate: Quorate, tmp_path: Path) -> None:
    quorate("apply", "--yes")
    other = tmp_path / "notes"
    other.write_text("mine\n")
    code, _, err = quorate("kubeconfig", "-o", "notes")
    assert code == 1
    one_line(code, err)
    assert "no kubeconfig" in err
    assert other.read_text() == "mine\n"
    code, _, err = quorate("kubeconfig", "-o", "cluster.yaml")
    assert code == 1
    assert quorate("kubeconfig", "-o", "admin.conf")[0] == 0
    (tmp_path / "admin.conf").chmod(0o644)
    assert quorate("kubeconfig", "-o", "admin.conf")[0] == 0, "one of before is replaced"
    assert stat.S_IMODE((tmp_path / "admin.conf").stat().st_mode) == 0o600
    (tmp_path / "link.conf").symlink_to("admin.conf")
    assert quorate("kubeconfig", "-o", "link.conf")[0] == 0


@pytest.mark.parametrize("place", ["full", "file", "file/x", "/proc/nowhere"])
def test_an_export_that_has_no_place(
    quorate: Quorate, hosts: Hosts, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.execute import prepare

    monkeypatch.setattr("quorate.cli.artifacts.resolve", prepare.resolve)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for more in ((), ("--json",)):
        code, out, err = quorate("artifacts", "--export", place, *more)
        assert code == 5, err
        if more:
            assert json.loads(out)["error"]["hint"]
        else:
            one_line(code, err)
    assert tree(tmp_path) == before


DAMAGE = {
    "allocations.json": (b"{", b"[]", b"[" * 100_000, b'{"given": {"node01": "x"}, "left": {}}', b"\xff", b'{"given":'),
    "machines.json": (b"{", b"[1]", b"[" * 100_000, b"\xff\xfe"),
    "endpoints": (b"\xff\n",),
    "last-applied.yaml": (b"", b"name: demo\n", b"\xff", b"hosts: ["),
    "ssh.yaml": (b"", b"user: [\n", b"prot: 22\n", b"\xff"),
    "random/encryption-key": (b"", b"short", b"\xff" * 44),
    "pki/ca.key": (b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 99),
    "pki/ca.crt": (b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
    "pki/sa.key": (b"", b"hello"),
    "pki/apiserver@master01.key": (b"", b"hello"),
}
"""Files of the state folder, and what they may hold when a disk or an editor was at work."""


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, some in DAMAGE.items() for each in some])
def test_a_damaged_state_folder(quorate: Quorate, hosts: Hosts, tmp_path: Path, name: str, content: bytes) -> None:
    quorate("apply", "--yes")
    state = tmp_path / ".quorate/tiny"
    (state / name).write_bytes(content)
    (state / name).chmod(0o600)
    before = {path: text for path, text in tree(tmp_path).items() if not path.endswith("journal.jsonl")}
    hosts.scripts.clear()
    hosts.acts = lambda _host, script: pytest.fail("a host was changed") if "umask 077" in script else ""
    code, out, err = quorate("plan")
    assert code in (1, 3), out
    one_line(code, err)
    assert name in err
    assert quorate("apply", "--yes")[0] == code
    assert json.loads(quorate("plan", "--json")[1])["error"]["exit_code"] == code
    assert {path: text for path, text in tree(tmp_path).items() if not path.endswith("journal.jsonl")} == before


@pytest.mark.parametrize("name", ["", "journal.jsonl", "pki", "last-applied.yaml", "machines.json"])
def test_a_state_folder_with_the_wrong_things_in_it(quorate: Quorate, hosts: Hosts, tmp_path: Path, name: str) -> None:
    """A file where a folder must be, and a folder where a file must be: also of what is only written."""
    state = tmp_path / ".quorate/tiny"
    place = state / name
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if name in ("", "pki"):
        place.write_text("x")
    else:
        place.mkdir()
    code, _, err = quorate("apply", "--yes")
    one_line(code, err)
    assert code in (1, 3)
    assert str(place.relative_to(tmp_path)) in err


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
def test_the_lab_is_for_root(quorate: Quorate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("QUORATE_CACHE", str(tmp_path))
    for words in (("up",), ("down",), ("cut", "node01"), ("replace", "node01")):
        code, _, err = quorate("lab", *words)
        one_line(code, err)
        assert code == 9


@pytest.mark.parametrize("words", [("cut", "nobody"), ("ssh", "nobody"), ("kill", "nobody"), ("down",), ("thaw", "x")])
@pytest.mark.parametrize("name", ["nowhere", "../../etc", "", "a\x1b[2J"])
def test_an_unknown_lab(
    quorate: Quorate, tmp_path: Path, words: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_CACHE", str(tmp_path / "cache"))
    code, _, err = quorate("lab", *words, "--name", name)
    one_line(code, err)
    assert code == 9
    assert "\x1b" not in err


@pytest.mark.usefixtures("hosts")
def test_a_fifo_keeps_no_verb_waiting(quorate: Quorate, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for words in (("support", "-o", "pipe"), ("passphrase", "--from", "pipe")):
        code, _, err = quorate(*words)
        assert code == 1
        one_line(code, err)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("words", [("-f", "-"), ("--file", "-"), ("-f=-",)], ids=" ".join)
def test_a_first_file_is_printed_where_a_dash_is_its_name(
    quorate: Quorate, tmp_path: Path, words: tuple[str, ...]
) -> None:
    before = tree(tmp_path)
    code, out, err = quorate("init", "mine", *words)
    assert (code, err) == (0, "")
    assert "name: mine" in out
    assert tree(tmp_path) == before
