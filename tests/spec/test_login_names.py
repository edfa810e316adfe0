"""Login names as directories and companies give them."""

from pathlib import Path

import pytest
from bad_file import HOSTS

from quorate.spec.load import load


@pytest.mark.parametrize("name", ["root", "john.doe", "CORP\\jdoe", "jdoe@corp.example.com", "Admin", "_apt", "svc-1$"])
def test_login_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"{HOSTS}ssh: {{user: '{name}', jump: {{host: b, user: '{name}'}}}}\n")
    ssh = load(path).ssh
    assert ssh.user == name
    assert ssh.jump is not None
    assert ssh.jump.user == name
