"""What is wrong on this machine is said once and as what it is, by every verb that goes to hosts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Quorate = Callable[..., tuple[int, str, str]]
VERBS = (
    ("status",),
    ("plan",),
    ("preflight",),
    ("verify",),
    ("verify", "--disruptive", "--yes"),
    ("apply", "--yes"),
    ("destroy", "--yes", "tiny"),
    ("support",),
)


@pytest.fixture
def unset(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster file whose password is in a variable that nobody has set; its hosts are really asked."""
    monkeypatch.delenv("QUORATE_NOT_SET", raising=False)
    file.write_text(file.read_text() + "ssh: {password_file: 'env:QUORATE_NOT_SET', connect_timeout: 1}\n")


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_variable_that_is_not_set(quorate: Quorate, words: tuple[str, ...]) -> None:
    code, out, err = quorate(*words)
    assert err.splitlines() == [
        "error: ssh.password_file: variable QUORATE_NOT_SET is not set",
        "hint: Set QUORATE_NOT_SET to the password, or name a file instead.",
    ]
    assert "master01" not in out
    assert "unreachable" not in out
    assert code == 1


@pytest.mark.usefixtures("unset")
def test_the_same_for_programs(quorate: Quorate) -> None:
    code, out, err = quorate("status", "--json")
    told = json.loads(out)["error"]
    assert (code, err) == (1, "")
    assert told["class"] == "LocalError"
    assert told["message"] == "ssh.password_file: variable QUORATE_NOT_SET is not set"


@pytest.mark.parametrize(
    ("section", "field"),
    [
        (
            "runtime: {registry_access: {'r.example:5000': {login_file: 'env:QUORATE_NOT_SET'}}}",
            "runtime.registry_access.r.example:5000.login_file",
        ),
        ("os: {proxy: {url: 'http://10.0.9.5:3128', login_file: 'env:QUORATE_NOT_SET'}}", "os.proxy.login_file"),
    ],
)
@pytest.mark.usefixtures("hosts")
def test_a_login_of_others(
    quorate: Quorate, file: Path, monkeypatch: pytest.MonkeyPatch, section: str, field: str
) -> None:
    monkeypatch.delenv("QUORATE_NOT_SET", raising=False)
    file.write_text(f"{file.read_text()}{section}\n")
    code, _, err = quorate("plan")
    assert code == 1
    assert err.startswith(f"error: {field}: variable QUORATE_NOT_SET is not set\n")
