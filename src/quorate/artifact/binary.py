"""What a binary must be before it may reach a host: an ELF program for the host's processor."""

from collections.abc import Mapping
from pathlib import Path

from quorate.spec.cluster import Cluster

_MACHINES = {62: "amd64", 183: "arm64", 3: "386", 40: "arm", 21: "ppc64le", 22: "s390x", 243: "riscv64"}
"""e_machine of the ELF header (System V gABI) by Go's names of architectures."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "kubernetes": (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    ),
    "etcd": ("etcd", "etcdctl"),
    "containerd": ("containerd", "containerd-shim-runc-v2", "ctr"),
    "runc": ("runc",),
    "cni_plugins": ("bridge", "host-local", "loopback", "portmap"),
    "docker": ("dockerd", "docker", "docker-proxy", "docker-init"),
    "age": ("age",),
}
"""The binaries that each part must have; a source may deliver more."""


def wanted_parts(cluster: Cluster) -> tuple[str, ...]:
    """The parts that a cluster needs: Docker as its runtime alone, age where hosts take backups by themselves."""
    spare = {"docker": cluster.runtime.kind != "docker", "age": not cluster.backup.schedule}
    return tuple(part for part in REQUIRED if not spare.get(part, False))


def elf_fault(path: Path, arch: str) -> str:
    """What is wrong with a file as a binary for `arch`; empty when nothing is."""
    with path.open("rb") as file:
        head = file.read(20)
    if head[:4] != b"\x7fELF":
        what = "an HTML page" if head.lstrip()[:1] == b"<" else "a script" if head[:2] == b"#!" else "something else"
        return f"expected an ELF binary, got {what}"
    if len(head) < 20:
        return f"expected an ELF binary, got {len(head)} bytes of one"
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    found = _MACHINES.get(machine, f"machine {machine}")
    return "" if found == arch else f"expected a binary for {arch}, got one for {found}"
