"""How one host is reached, with every default filled in: what the transport needs to know and no more."""

from dataclasses import dataclass, replace
from pathlib import Path

from quorate.spec.cluster import Cluster, Host, Jump, Ssh

DEFAULT = Ssh(user="root", port=22, connect_timeout=15)
"""What holds when neither the host nor the cluster says otherwise; 15 s is OpenSSH's usual patience."""


@dataclass(frozen=True)
class ResolvedSsh:
    """The effective SSH settings of one host; paths are absolute.

    A password file given as `env:NAME` is kept as `Path("env:NAME")`: it names an environment variable.
    `connect_timeout` is in seconds. `known_hosts` is None only for a cluster that was not loaded from a file.
    """

    address: str
    user: str
    port: int
    key: Path | None
    password_file: Path | None
    sudo_password_file: Path | None
    ask_password: bool
    ask_sudo_password: bool
    known_hosts: Path | None
    jump: Jump | None
    connect_timeout: float
    section: str = "ssh"
    """Where the cluster file says so, for messages."""


def way(ssh: ResolvedSsh, jump: Jump) -> ResolvedSsh:
    """How a jump host is reached: at its own place, as its own user, with its own login or else the host's, and pins.

    One that has a key or a password of its own never sees those of the hosts behind it.
    """
    at = replace(ssh, address=jump.host, port=jump.port, user=jump.user, jump=None)
    at = replace(at, sudo_password_file=None, ask_sudo_password=False)
    if jump.key is None and jump.password_file is None and not jump.ask_password:
        return at
    login = {"key": jump.key, "password_file": jump.password_file, "ask_password": jump.ask_password}
    return replace(at, section="ssh.jump", **login)  # type: ignore[arg-type]


def over(low: Ssh, high: Ssh) -> Ssh:
    """The settings of `high` where it sets any, else those of `low`, field by field."""
    given = {name for name in high.model_fields_set if getattr(high, name) is not None}
    return low.model_copy(update={name: getattr(high, name) for name in given})


def ssh_of(cluster: Cluster, host: Host) -> ResolvedSsh:
    """The effective settings: the host's own over the cluster's over the defaults."""
    ssh = over(over(DEFAULT, cluster.ssh), host.ssh)
    return ResolvedSsh(
        address=host.ssh_address or host.ip,
        user=ssh.user or "root",
        port=ssh.port or 22,
        key=ssh.key,
        password_file=ssh.password_file,
        sudo_password_file=ssh.sudo_password_file,
        ask_password=ssh.ask_password,
        ask_sudo_password=ssh.ask_sudo_password,
        known_hosts=ssh.known_hosts,
        jump=ssh.jump,
        connect_timeout=ssh.connect_timeout or 15,
    )
