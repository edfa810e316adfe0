"""One simulated host: its disk, and the loop that boots it.

A host is a systemd-nspawn container with systemd as PID 1 on an overlay of the bare root, in its own network
namespace and its own control groups. The loop and all that it mounts live in a private mount namespace, so
that nothing is left when it ends. It boots the host again when it reboots, and ends when it powers off.

Hosts are as free as Kubernetes needs (all capabilities, writable /proc and /sys): trusted, not jailed.
`shutdown` inside does not reach this machine; `sysctl -w` of a key outside `net.` does, as do `modprobe`,
/dev/kmsg and the clock. `kernel` puts back the usual keys when the last lab goes.
"""

import os
import shlex
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from quorate.artifact.root import PRIVATE_RUN, USER, resolv_conf
from quorate.lab import access, cgroup
from quorate.lab.network import run
from quorate.lab.record import LabError, LabInfo, Machine
from quorate.render import lab_host

PLAIN = (*(f"/var/lib/{name}" for name in ("docker", "containerd", "kubelet", "etcd")), "/data")
"""Folders that are not on the overlay: container runtimes stack overlays of their own there. The last stands for a
second disk, for who chooses other folders."""
HOSTNAME = "debian"
"""The name of every bare host: to name it is the work of whoever builds the cluster."""
USER_ID = 1000

NETWORK = ("nsenter", "--net=/run/netns/host")
"""systemd-nspawn starts within the host's network, or /sys/class/net inside would show this machine's."""


def furnish(lab: LabInfo, machine: Machine) -> None:
    """Make the host's disk: what an installer would have written to it, and the lab's key."""
    upper = machine.folder / "upper"
    for name in ("upper", "work", "root"):
        (machine.folder / name).mkdir(parents=True, exist_ok=True)
    for plain in PLAIN:
        (machine.folder / "data" / Path(plain).name).mkdir(parents=True, exist_ok=True)
    _write(upper / "etc/hostname", f"{HOSTNAME}\n")
    _write(upper / "etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{HOSTNAME}\n::1\tlocalhost\n")
    _write(upper / "etc/resolv.conf", resolv_conf())
    if not (upper / "etc/machine-id").exists():
        _write(upper / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    _write(upper / "etc/systemd/journald.conf.d/lab.conf", "[Journal]\nReadKMsg=no\n")
    _write(upper / "etc/systemd/system/lab-guard.service", lab_host.GUARD)
    wants = upper / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "lab-guard.service").unlink(missing_ok=True)
    (wants / "lab-guard.service").symlink_to("/etc/systemd/system/lab-guard.service")
    (upper / "etc/systemd/system/e2scrub_reap.service").unlink(missing_ok=True)
    (upper / "etc/systemd/system/e2scrub_reap.service").symlink_to("/dev/null")
    for home, owner in ((upper / "root", 0), (upper / f"home/{USER}", USER_ID)):
        _write(home / ".ssh/authorized_keys", access.write_key(lab.key) + "\n", 0o600)
        for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
            os.chown(path, owner, owner)
        home.chmod(0o700)
        (home / ".ssh").chmod(0o700)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def host_keys(machine: Machine) -> tuple[str, ...]:
    """The host's public SSH keys; they are made on its disk the first time."""
    folder = machine.folder / "upper/etc/ssh"
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(access.write_key(folder / f"ssh_host_{kind}_key", kind) for kind in access.HOST_KEYS)


def boot_script(lab: LabInfo, machine: Machine, groups: Iterable[Path], loop: Iterable[Path], modules: bool) -> str:
    """The loop that boots the host: `groups` and `loop` are the control groups of host and loop."""
    place = machine.folder
    nspawn = ["systemd-nspawn", "--boot", f"--directory={place / 'root'}", f"--machine={machine.name}"]
    nspawn += ["--register=no", "--keep-unit", "--network-namespace-path=/run/netns/host"]
    nspawn += ["--capability=all", "--system-call-filter=@keyring bpf perf_event_open @module"]
    nspawn += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only"]
    nspawn += ["--bind=/dev/kmsg", *(["--bind-ro=/lib/modules"] if modules else [])]
    nspawn += [f"--bind={place / 'data' / Path(path).name}:{path}" for path in PLAIN]
    start = f"{_join(groups)}\nexport SYSTEMD_NSPAWN_API_VFS_WRITABLE=1\nexec {shlex.join([*NETWORK, *nspawn])}"
    options = f"lowerdir={lab.root},upperdir={place / 'upper'},workdir={place / 'work'}"
    overlay = shlex.join(["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")])
    return lab_host.boot(
        loop=_join(loop),
        private_run=PRIVATE_RUN,
        overlay=overlay,
        start=start,
        cable=machine.cable,
        bridge=lab.bridge,
        mac=machine.mac,
        cut=str(machine.cut_mark),
        address=machine.address,
        prefix=machine.prefix,
        gateway=machine.gateway,
    )


def _join(groups: Iterable[Path]) -> str:
    return "\n".join(f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))}" for group in groups)


def is_on(lab: LabInfo, machine: Machine) -> bool:
    """Whether the host has power."""
    return cgroup.alive(lab.id, f"{machine.name}.loop") or cgroup.alive(lab.id, machine.name)


def power_on(lab: LabInfo, machine: Machine) -> None:
    """Boot the host, detached from this process; it has no effect on a host that is on."""
    if is_on(lab, machine):
        return
    groups = cgroup.make(lab.id, machine.name)
    loop = cgroup.make(lab.id, f"{machine.name}.loop")
    modules = Path("/lib/modules").is_dir()
    script = machine.folder / "boot.sh"
    _write(script, boot_script(lab, machine, groups, loop, modules), 0o700)
    with machine.console.open("ab") as console:
        subprocess.run(
            ["setsid", "--fork", "unshare", "--mount", "--propagation", "private", "sh", str(script)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            cwd="/",
            check=True,
        )


def power_off(lab: LabInfo, machine: Machine) -> None:
    """Take the power away at once; what the host wrote to its disk so far is there at the next boot.

    (A real power cut also loses what was not synced; here that is in this machine's page cache, and stays.)
    """
    run("ip", "link", "del", machine.cable, check=False)
    for group in (f"{machine.name}.loop", machine.name):
        cgroup.kill(lab.id, group)
    run("ip", "link", "del", machine.cable, check=False)


def remove(lab: LabInfo, machine: Machine) -> None:
    """Power off, and throw the disk away."""
    power_off(lab, machine)
    for group in (f"{machine.name}.loop", machine.name):
        cgroup.remove(lab.id, group)
    # Out of its place in one step: what is cut short leaves no half of a disk for the next machine.
    gone = lab.folder / "gone"
    gone.mkdir(exist_ok=True)
    if machine.folder.exists():
        machine.folder.rename(gone / uuid.uuid4().hex)
    shutil.rmtree(gone, ignore_errors=True)


def wait_ssh(lab: LabInfo, machine: Machine, deadline: float) -> None:
    """Wait until sshd answers; `deadline` is in seconds of `time.monotonic`. Raises `LabError` after it."""
    while True:
        try:
            with socket.create_connection((machine.address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            state = "does not answer" if is_on(lab, machine) else "went off"
            raise LabError(f"host {machine.name} {state} at {machine.address}:22", f"see {machine.console}")
        time.sleep(0.05)
