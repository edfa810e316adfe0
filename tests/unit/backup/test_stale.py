"""What uploads that ended in the middle leave at a place: host and operator judge it alike."""

import subprocess
from datetime import UTC, datetime, timedelta

from quorate.backup.retention import stale
from quorate.render import retention
from quorate.spec.sections import Keep

NOW = datetime.now(UTC)


def name(hours: int, cluster: str = "c") -> str:
    return f"{cluster}-{NOW - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-0123abcd"


def test_after_a_day_and_no_file_of_anybody_else() -> None:
    old = [f".{name(25)}.backup.part", f".{name(26)}.proof.json.part"]
    young = [f".{name(23)}.backup.part", f".{name(0)}.backup.part"]
    others = [f"{name(25)}.backup", f".{name(25)}.backup", ".part", ".notes.part", f".x{name(25)}", "x.part"]
    names = [*old, *young, *others]
    assert stale(names, NOW) == old
    script = f"{retention.functions('c', Keep())}\nstale"
    said = subprocess.run(["/bin/sh", "-c", script], input="\n".join(names), capture_output=True, text=True, check=True)
    assert said.stdout.split() == old
