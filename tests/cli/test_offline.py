"""`validate` and `explain` with --offline: what the file names need not be here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hosts import Hosts

Quorate = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("verb", ["validate", "explain"])
def test_no_keys_are_needed(quorate: Quorate, hosts: Hosts, file: Path, verb: str) -> None:
    file.write_text(file.read_text() + "ssh: {key: none}\n")
    assert quorate(verb)[0] == 3
    assert quorate(verb, "--offline")[0] == 0
    assert hosts.scripts == []
