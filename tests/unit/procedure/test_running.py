"""What runs where: read from processes, whatever lies in their files' places; and what is mixed."""

import os
import subprocess
from pathlib import Path

from quorate.procedure import running

SAID = """\
etcd etcd Version: 3.6.16 Git SHA: abc Go Version: go1.25.1
kube-apiserver Kubernetes v1.37.2
kubelet Kubernetes v1.36.3
containerd containerd github.com/containerd/containerd/v2 v2.3.7 h1:1.2.3=
docker Docker version 20.10.5+dfsg1, build 55c4c88
kube-proxy
stray 1.2.3
kube-scheduler Kubernetes v1.38.0-rc.1
"""
OLD = {"kube-apiserver": "1.36.3", "kube-scheduler": "1.36.3", "etcd": "3.6.16"}
NEW = {"kube-apiserver": "1.37.2", "kube-scheduler": "1.36.3", "etcd": "3.6.16"}
NODE = {"kubelet": "1.36.3", "kube-proxy": "1.36.3", "containerd": "2.3.7"}


def test_each_programs_own_words() -> None:
    assert running.parse(SAID) == {
        "etcd": "3.6.16",
        "kube-apiserver": "1.37.2",
        "kubelet": "1.36.3",
        "containerd": "2.3.7",
        "docker": "20.10.5",
        "kube-scheduler": "1.38.0-rc.1",
    }
    assert running.parse("") == {}


def test_the_process_is_asked_and_not_the_file_that_came_meanwhile(tmp_path: Path) -> None:
    """A real process, whose file is exchanged while it runs, as an upgrade does."""
    program = tmp_path / "kubelet"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    process = subprocess.Popen([program, "60"])
    try:
        fresh = tmp_path / "new"
        fresh.write_text("#!/bin/sh\necho Kubernetes v9.9.9\n")
        fresh.chmod(0o755)
        os.replace(fresh, program)
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(f'#!/bin/sh\ncase "$*" in *kubelet*) echo {process.pid};; *) echo 0;; esac\n')
        systemctl.chmod(0o755)
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        said = subprocess.run(["sh", "-ec", running.ASK], capture_output=True, text=True, check=True, env=env).stdout
    finally:
        process.kill()
        process.wait()
    assert said.startswith("kubelet sleep ")
    assert "9.9.9" not in said


def test_what_is_alike_is_told_once() -> None:
    assert running.alike({"m1": OLD, "m2": OLD, "n1": NODE, "b1": {}}) == {
        "m1, m2": "kubernetes 1.36.3, etcd 3.6.16",
        "n1": "kubernetes 1.36.3, containerd 2.3.7",
    }
    assert running.brief(NEW) == "kube-apiserver 1.37.2, kube-scheduler 1.36.3, etcd 3.6.16"
    many = {f"n{number}": NODE for number in range(8)}
    assert list(running.alike(many)) == ["n0, n1, n2, n3, n4 and 3 others"]


def test_what_is_mixed_is_told_with_its_hosts() -> None:
    assert running.mixed({"m1": OLD, "n1": NODE}) == {}
    found = running.mixed({"m1": NEW, "m2": OLD, "n1": NODE})
    assert set(found) == {"kubernetes"}
    assert found["kubernetes"]["1.37.2"] == {"kube-apiserver": ("m1",)}
    assert running.told("kubernetes", found["kubernetes"]) == (
        "kubernetes 1.36.3: scheduler on m1, m2, apiserver on m2, kubelet, proxy on n1; 1.37.2: apiserver on m1"
    )
