"""What is done while a service is at rest: before each start of ours, and the service starts whatever becomes of it."""

import subprocess
from pathlib import Path

import pytest

from quorate.resource.unit import Unit
from quorate.spec.layout import LOADED, UNITS

SYSTEMCTL = r"""#!/bin/sh
# A service that runs, or does not; what it was told is in a file.
here=$(dirname "$0")
case $* in
*NeedDaemonReload*) echo no;;
*FragmentPath*) echo "$here/units/x.service";;
"is-active -q"*) [ -e "$here/runs" ];;
is-active*) [ -e "$here/runs" ] && echo active || echo inactive;;
stop*) echo stop >>"$here/did"; rm -f "$here/runs";;
*restart*) echo restart >>"$here/did"; touch "$here/runs";;
*start*) [ -e "$here/runs" ] || echo start >>"$here/did"; touch "$here/runs";;
esac
"""


@pytest.mark.parametrize("ends", ["true", "false"])
@pytest.mark.parametrize("runs", [True, False])
def test_it_is_at_rest_meanwhile(tmp_path: Path, ends: str, *, runs: bool) -> None:
    (tmp_path / "units/multi-user.target.wants").mkdir(parents=True)
    (tmp_path / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    if runs:
        (tmp_path / "runs").touch()
    between = f"[ ! -e {tmp_path}/runs ] && echo between >>{tmp_path}/did; {ends}"
    unit = Unit(host="h", unit="x.service", loads=("/x",), between=between)
    text = unit.converge({})[0].script.replace(UNITS, f"{tmp_path}/units").replace(LOADED, str(tmp_path))
    script = f"set -eu; PATH={tmp_path}:$PATH; changed() {{ :; }}\n{text}"
    subprocess.run(["sh", "-c", script], check=True)
    did = (tmp_path / "did").read_text().split()
    assert did == (["stop", "between", "start"] if runs else ["between", "restart"])
