"""A plan as lines: what restarts, what a diff shows, what stays hidden."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import Blob, Key
from quorate.plan.show import Shown, Sort, show
from quorate.plan.step import Plan, Step
from quorate.plan.words import clean, line, size
from quorate.resource.block import Block
from quorate.resource.file import Binary, File
from quorate.resource.resource import Resource
from quorate.resource.unit import Unit

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----\n"


def shown(*steps: tuple[Resource, dict[str, str] | None], present: dict[str, str] | None = None) -> Shown:
    made = {resource.key: Step(resource, state) for resource, state in steps}
    plan = Plan(made, {key: frozenset() for key in made}, component_of=dict.fromkeys(made, "part"))
    texts = {Key("h", "file", path): text for path, text in (present or {}).items()}
    return show(plan, texts, lambda blob: blob.size)


def of(resource: Resource, **other: str) -> dict[str, str]:
    return dict(resource.desired) | other


def test_content_restarts_what_loaded_it_and_nothing_else() -> None:
    conf = File(host="h", path="/etc/a.conf", content="new\n")
    own = File(host="h", path="/etc/systemd/system/a.service", content="x\n")
    unit = Unit(host="h", unit="a.service", loads=(own.path, conf.path))
    other = Unit(host="h", unit="b.service", loads=("/etc/b.conf",))
    state = {"active": "active", "enabled": "enabled", "reload": "no", "loaded": "current"}
    rest = ((own, of(own)), (unit, state), (other, state))
    found = shown((conf, of(conf, sha256="0" * 64)), *rest, present={"/etc/a.conf": "old\n"})
    assert [(each.sort, each.name) for each in found.lines] == [
        (Sort.CHANGE, "/etc/a.conf"),
        (Sort.RESTART, "a.service"),
    ]
    assert found.lines[0].diff == ("@@ -1 +1 @@", "-old", "+new")
    assert "a.conf" in found.lines[1].detail
    only_mode = shown((conf, of(conf, mode="0600")), *rest)
    assert [each.sort for each in only_mode.lines] == [Sort.CHANGE], "a mode restarts nothing"
    assert only_mode.lines[0].detail == "mode 0600 -> 0644"


def test_reload_and_stale() -> None:
    conf = File(host="h", path="/etc/nginx.conf", content="new\n")
    unit = Unit(host="h", unit="nginx.service", loads=(conf.path,), reload=True)
    state = {"active": "active", "enabled": "enabled", "reload": "no", "loaded": "current"}
    found = shown((conf, of(conf, sha256="0")), (unit, state))
    assert found.lines[1].sort is Sort.RELOAD
    stale = shown((Unit(host="h", unit="a.service", loads=("/x",)), state | {"loaded": "stale"}))
    assert stale.lines[0].sort is Sort.RESTART
    assert stale.summary == "1 restart"


def test_secrets_are_digests() -> None:
    secret = File(host="h", path="/k", content=KEY, secret=True)
    careless = File(host="h", path="/c", content="a: b\n")
    there = {"/k": KEY, "/c": f"a: c\n{KEY}"}
    found = shown((secret, of(secret, sha256="f" * 64)), (careless, of(careless, sha256="0")), present=there)
    assert "MIGH" not in repr(found)
    by_name = {each.name: each for each in found.lines}
    assert by_name["/k"].detail.startswith("secret, sha256 ffffffffffff -> ")
    assert by_name["/k"].diff == ()
    assert by_name["/c"].diff == ("(holds a private key: not shown)",)


def test_bytes_are_counted_once_per_host() -> None:
    blob = Blob(Path("/nonexistent"), "a" * 64, 5_000_000)
    found = shown((Binary(host="h", path="/opt/x", blob=blob), {}))
    assert found.send == 5_000_000
    assert found.summary == "1 to create, 5.0 MB to send"
    again = shown(
        (Binary(host="h", path="/opt/x", blob=blob), {"sha256": "a" * 64, "mode": "0700", "owner": "root:root"})
    )
    assert again.send == 0
    assert again.lines[0].detail == "mode 0700 -> 0755"


def test_block() -> None:
    block = Block(host="h", path="/etc/hosts", title="names", lines=("1.1.1.1 a", "2.2.2.2 b"))
    found = shown((block, {"lines": "1.1.1.1 a"}))
    assert found.lines[0].diff[-1] == "+2.2.2.2 b"


@settings(deadline=None)
@given(st.text())
def test_nothing_steers_the_terminal(text: str) -> None:
    assert all(each.isprintable() or each in "\n\t" for each in clean(text))
    assert line(text).isprintable()
    file = File(host="h", path="/f", content="x\n")
    found = shown((file, of(file, sha256="0")), present={"/f": text})
    assert all(each.isprintable() or each == "\t" for row in found.lines for part in row.diff for each in part)


def test_sizes() -> None:
    assert [size(each) for each in (0, 999, 1000, 12_345_678, 3e9)] == ["0 B", "999 B", "1.0 kB", "12.3 MB", "3.0 GB"]
