"""A leader that ends in order gives up its lease, and only its own; under a real sh, with kubectl faked."""

import json
import subprocess
from pathlib import Path

import pytest

from quorate.component.settings import election
from quorate.render import systemd
from quorate.spec.layout import BIN

ME = Path("/proc/sys/kernel/hostname").read_text().strip()
KUBECTL = """\
#!/bin/sh
cd "${0%/*}"
printf '%s\\n' "$*" >>asked
case $* in
  *" get --raw "*) cat lease;;
  *" replace --raw "*) cat >written; [ ! -e refuses ];;
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
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    return tmp_path


def ends(host: Path, holder: str, result: str = "success") -> int:
    (host / "lease").write_text(json.dumps(lease(holder), separators=(",", ":")) + "\n")
    command = [word.replace(BIN, str(host)) for word in election.step_down("kube-scheduler").argv]
    return subprocess.run(command, env={"SERVICE_RESULT": result}, check=False, timeout=10).returncode


def test_its_own_lease_is_given_up(host: Path) -> None:
    assert ends(host, f"{ME}_16743516-012a-41db-9326-0e1f69f21f30") == 0
    assert json.loads((host / "written").read_text()) == lease("")
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"
    own = "--kubeconfig /etc/kubernetes/kube-scheduler.kubeconfig --cache-dir /run/quorate/kubectl"
    assert (host / "asked").read_text().splitlines() == [f"{own} get --raw {path}", f"{own} replace --raw {path} -f -"]


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
    (host / "kubectl").write_text("#!/bin/sh\nexec sleep 30\n")
    assert ends(host, f"{ME}_1674") == 124
