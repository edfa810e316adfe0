"""A journald in namespaces of its own, for scripts that read the journal: nothing of this machine's is seen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

JOURNALD = Path("/usr/lib/systemd/systemd-journald")
THERE = JOURNALD.exists() and bool(shutil.which("journalctl"))

Entry = tuple[str, str, str]
"""Unit, who says it, and what: as PID 1 says it of its units."""

_INSIDE = """
import json, os, socket, subprocess, sys, time
entries, script = json.load(sys.stdin)
for folder in ("/run", "/var/log"):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
os.makedirs("/run/systemd/journal")
daemon = subprocess.Popen([sys.argv[1]], stderr=subprocess.DEVNULL)
while not os.path.exists("/run/systemd/journal/socket"):
    time.sleep(0.02)
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to.connect("/run/systemd/journal/socket")
for unit, who, what in entries:
    to.send(f"MESSAGE={what}\\nSYSLOG_IDENTIFIER={who}\\nUNIT={unit}\\nPRIORITY=6\\n".encode())
subprocess.run(["journalctl", "--sync"], check=False)
subprocess.run(["/bin/sh", "-ec", script], check=True)
daemon.kill()
"""


def said(entries: Sequence[Entry], script: str) -> str:
    """What a script prints where the journal has these entries."""
    inside = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", _INSIDE)
    done = subprocess.run(
        [*inside, str(JOURNALD)], input=json.dumps([entries, script]), capture_output=True, text=True, check=True
    )
    return done.stdout
