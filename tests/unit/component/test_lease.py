"""A leader that ends in order gives up its lease, and only its own; under a real sh, with curl faked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from quorate.component.settings import election
from quorate.render import systemd
from quorate.render.kubeconfig import kubeconfig
from quorate.spec import layout, pki_files

ME = Path("/proc/sys/kernel/hostname").read_text().strip()
CURL = """\
#!/bin/sh
here=${0%/*}
printf '%s\\n' "$*" >>"$here/asked"
while [ "$1" != --cert ]; do shift; done
cat "$2" "$4" >>"$here/shown"
case $* in
  *" -X PUT "*) cat >"$here/written"; [ ! -e "$here/refuses" ];;
  *) cat "$here/lease";;
esac
"""


def lease(holder: str) -> dict[str, object]:
    fields = {"f:spec": {"f:holderIdentity": {}, "f:renewTime": {}}}
    return {
        "kind": "Lease",
        "metadata": {"name": "kube-scheduler", "resourceVersion": "234", "managedFields": [{"fieldsV1": fields}]},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 4, "leaseTransitions": 7},
    }


@pytest.fixture
def host(tmp_path: Path) -> Path:
    curl = tmp_path / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    text = kubeconfig(
        "https://10.0.0.1:6443", b"ca", "system:kube-scheduler", cert_pem=b"my cert\n", key_pem=b"my key\n"
    )
    (tmp_path / "kubeconfig").write_text(text)
    return tmp_path


def ends(host: Path, holder: str, result: str = "success") -> int:
    (host / "lease").write_text(json.dumps(lease(holder), separators=(",", ":")) + "\n")
    places = {layout.kubeconfig("kube-scheduler"): str(host / "kubeconfig"), layout.LOADED: str(host)}
    command = list(election.step_down("kube-scheduler").argv)
    for place, here in places.items():
        command = [word.replace(place, here) for word in command]
    env = {"SERVICE_RESULT": result, "PATH": f"{host}:{os.environ['PATH']}"}
    code = subprocess.run(command, env=env, check=False, timeout=10).returncode
    assert not list(host.glob("lease.*"))
    return code


def test_its_own_lease_is_given_up(host: Path) -> None:
    assert ends(host, f"{ME}_16743516-012a-41db-9326-0e1f69f21f30") == 0
    assert json.loads((host / "written").read_text()) == lease("")
    url = "https://10.0.0.1:6443/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler?pretty=false"
    asked = (host / "asked").read_text().splitlines()
    assert [line.endswith(f" {url}") for line in asked] == [True, True]
    assert all(line.startswith(f"-sf --noproxy * --cacert {pki_files.CA} --cert ") for line in asked)
    assert (host / "shown").read_text() == 2 * "my cert\nmy key\n"


@pytest.mark.parametrize("holder", ["", "other_1674", f"{ME}2_1674", f"x{ME}_1674", ME])
def test_what_others_hold_stays(host: Path, holder: str) -> None:
    assert ends(host, holder) == 0
    assert not (host / "written").exists()


@pytest.mark.parametrize("result", ["signal", "exit-code", "watchdog", "oom-kill", ""])
def test_after_a_crash_nobody_is_asked(host: Path, result: str) -> None:
    assert ends(host, f"{ME}_1674", result) == 0
    assert not (host / "asked").exists()


def test_a_lease_that_changed_in_between_is_no_matter(host: Path) -> None:
    (host / "refuses").touch()
    ends(host, f"{ME}_1674")
    assert systemd.command(election.step_down("kube-scheduler")).startswith("-/usr/bin/timeout ")


def test_a_silent_api_server_holds_nobody_up(host: Path) -> None:
    (host / "curl").write_text("#!/bin/sh\nexec sleep 30\n")
    assert ends(host, f"{ME}_1674") == 124
