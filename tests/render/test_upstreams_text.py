"""The script that keeps nginx' list of API servers: only plain addresses, ports and paths enter it."""

import subprocess
from pathlib import Path

import pytest
from hostile import hostile
from hypothesis import given

from quorate.render import upstreams


@given(hostile())
def test_only_addresses_enter_the_script(text: str) -> None:
    for make in (upstreams.script, upstreams.listed):
        with pytest.raises(ValueError, match="not a"):
            make([(f"1{text}", 1)] if text else [("", 1)], "/run/list")
        with pytest.raises(ValueError, match="not a valid path"):
            make([("10.0.0.1", 1)], f"/run/list {text}")


def test_no_servers_and_no_ports_are_refused() -> None:
    for bad in ([], [("10.0.0.1", 0)], [("10.0.0.1", 65536)], [("10.0.0.1", True)]):
        with pytest.raises(ValueError):  # noqa: PT011
            upstreams.script(bad, "/run/list")


def test_who_is_left_out(tmp_path: Path) -> None:
    found = tmp_path / "list"
    found.write_text("server 10.0.0.1:6443 max_fails=0;\nserver 10.0.0.2:6443 down;\n")
    said = subprocess.run(["sh", "-c", upstreams.left_out(str(found))], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["10.0.0.2:6443"]
