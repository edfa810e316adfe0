"""Files that are none, places that refuse, and URLs with a login: each is an error in a line, without the password."""

import json
import os
from pathlib import Path

import pytest

from quorate.core import QuorateError
from quorate.plan.words import clean
from quorate.spec.logins import without_logins
from quorate.state import history
from quorate.state.store import Store
from quorate.transport import known


@pytest.mark.parametrize("name", ["journal.jsonl", "machines.json"])
def test_a_fifo_in_the_state_folder_keeps_nobody_waiting(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    store = Store(tmp_path)
    with pytest.raises(QuorateError, match="it is a FIFO, no file"):
        store.read(tmp_path / name)
    with pytest.raises(QuorateError, match="it is a FIFO, no file"):
        history.read(tmp_path / name)
    if name == "journal.jsonl":
        with pytest.raises(QuorateError, match="it is a FIFO, no file"):
            store.journal({"event": "begin"}, sync=True)


def test_pins_that_have_no_place_are_told_with_it(tmp_path: Path) -> None:
    (tmp_path / ".quorate").symlink_to("nowhere")
    with pytest.raises(QuorateError, match=r"can't be written: .*\.quorate") as told:
        known.write(tmp_path / ".quorate/tiny/known_hosts", (), ["a ssh-ed25519 AAAA"])
    assert "ssh.known_hosts" in told.value.hint


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("get https://ann:hunter2@mirror.example/v2 failed", "get https://(secret)@mirror.example/v2 failed"),
        ("https://ann:p@ss@mirror.example:5000/x", "https://(secret)@mirror.example:5000/x"),
        ("https://ann:p/a@mirror.example/x", "https://(secret)@mirror.example/x"),
        ("https://token@mirror.example/x", "https://(secret)@mirror.example/x"),
        ("https://proxy.example/a/@v/list", "https://proxy.example/a/@v/list"),
        ("https://proxy.example:443/a/@v/list", "https://proxy.example:443/a/@v/list"),
        ("mail ann@example.org", "mail ann@example.org"),
    ],
)
def test_a_login_in_a_url_is_not_carried_on(tmp_path: Path, given: str, shown: str) -> None:
    assert without_logins(given) == clean(given) == shown
    Store(tmp_path / ".quorate/tiny").journal({"error": given})
    text = (tmp_path / ".quorate/tiny/journal.jsonl").read_text()
    assert json.loads(text) == {"error": shown}
