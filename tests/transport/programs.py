"""Real programs for these tests: installed, or unpacked by `get_programs.sh`."""

import os
import shutil
from pathlib import Path

import pytest

HOME = Path(os.environ.get("QUORATE_PROGRAMS", Path.home() / ".cache/quorate/test-programs"))


def root(name: str) -> Path | None:
    """The folder into which a program is unpacked, with all that it brings along; None for one that is installed."""
    if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return None
    if not (HOME / name).exists():
        pytest.fail(f"there is no {name}: tests/transport/get_programs.sh brings it")
    return HOME / name


def find(name: str) -> tuple[str, dict[str, str]]:
    """The path of a program, which sshd wants to be absolute, and what it needs in its environment."""
    if path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return path, {}
    unpacked = next(HOME.glob(f"{name}/usr/*bin/{name}"), None)
    if unpacked is None:
        pytest.fail(f"there is no {name}: tests/transport/get_programs.sh brings it")
    return str(unpacked), {"LD_LIBRARY_PATH": ":".join(map(str, HOME.glob(f"{name}/**/lib/*-linux-gnu")))}
