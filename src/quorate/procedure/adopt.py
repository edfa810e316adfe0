"""Adopt: a state folder comes back from the sealed copies on the etcd hosts, to a machine that has nothing."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from quorate.core import QuorateError, Transport
from quorate.spec.cluster import Cluster, Ssh
from quorate.spec.layout import COPY
from quorate.spec.load import load_former
from quorate.spec.ssh import ResolvedSsh, ssh_of
from quorate.state import age
from quorate.state.bundle import FILE
from quorate.state.opener import Opened, Sealed

COPY_WITHIN_S = 120.0
"""Seconds for a host to send its copy, of a few hundred kB."""

READ = (
    f"cd {COPY} 2>/dev/null && [ -e state.age ] || exit 0\n"
    'for f in state.age identity.age; do if [ -e "$f" ]; then echo "= $f"; base64 <"$f"; fi; done\n'
)


async def fetch(host: str, via: Transport) -> Sealed | None:
    """A host's copy; None when it has none. Raises QuorateError."""
    parts: dict[str, list[str]] = {}
    part: list[str] = []
    for each in (await via.run(host, READ, timeout=COPY_WITHIN_S)).splitlines():
        if each.startswith("= "):
            part = parts.setdefault(each[2:], [])
        else:
            part.append(each)
    try:
        files = {name: base64.b64decode("".join(text), validate=True) for name, text in parts.items()}
    except binascii.Error:
        raise QuorateError(f"the copy of {host} did not come whole", "try again, or another etcd host") from None
    return Sealed(host, files["state.age"], files.get("identity.age")) if "state.age" in files else None


def newest(first: Opened, others: Iterable[Opened]) -> Opened:
    """The newest of the copies. Raises QuorateError where two contradict each other, or are of different clusters."""
    best = first
    for other in others:
        if other.bundle.cluster != best.bundle.cluster:
            raise QuorateError(
                f"{other.host} has a copy of the cluster {other.bundle.cluster}, {best.host} one of "
                f"{best.bundle.cluster}",
                f"remove the one that does not belong there: `rm -r {COPY}`",
            )
        if other.sequence == best.sequence and other.bundle.digest != best.bundle.digest:
            raise QuorateError(
                f"{best.host} and {other.host} have different copies with the number {best.sequence}: "
                "they come from two state folders",
                f"find out which is right, and remove the other: `rm -r {COPY}` there",
            )
        best = other if other.sequence > best.sequence else best
    return best


def cluster_of(found: Opened, scratch: Path, into: Path) -> Cluster:
    """The cluster that a copy is of, its paths as seen from `into`. Raises QuorateError where its parts differ."""
    path = scratch / FILE
    path.write_bytes(found.bundle.entries[FILE].content)
    cluster = load_former(path, into)
    if cluster.name != found.bundle.cluster:
        what = f"the copy of {found.host} says that it is of {found.bundle.cluster}, its cluster file {cluster.name}"
        raise QuorateError(what, age.DAMAGED)
    return cluster


def first_way(address: str, ssh: Ssh, known_hosts: Path) -> ResolvedSsh:
    """How to reach a host of which nothing is known but what `ssh` says."""
    return ResolvedSsh(
        address=address,
        user=ssh.user or "root",
        port=ssh.port or 22,
        key=ssh.key,
        password_file=None,
        sudo_password_file=None,
        ask_password=ssh.ask_password,
        ask_sudo_password=ssh.ask_sudo_password,
        known_hosts=known_hosts,
        jump=None,
        connect_timeout=15,
    )


def ways(cluster: Cluster, ssh: Ssh, known_hosts: Path) -> dict[str, ResolvedSsh]:
    """How to reach a cluster's hosts: as its file says, but with this machine's files, and with what `ssh` says."""
    given = {field: getattr(ssh, field) for field in ssh.model_fields_set}
    found = {}
    for host in cluster.hosts:
        told = ssh_of(cluster, host)
        files = {field: getattr(told, field) for field in ("key", "password_file", "sudo_password_file")}
        here = {field: path if path and path.exists() else None for field, path in files.items()}
        found[host.name] = replace(told, **{**here, **given, "known_hosts": known_hosts})
    return found


def missing(cluster: Cluster) -> list[tuple[str, Path]]:
    """Files that the cluster file names and this machine does not have: (field, path)."""

    def ssh(given: Ssh, around: str) -> list[tuple[str, Path | None]]:
        names = ("key", "password_file", "sudo_password_file")
        return [(f"{around}{name}", getattr(given, name)) for name in names if name in given.model_fields_set]

    manifest = cluster.network.manifest
    named = ssh(cluster.ssh, "ssh.")
    for index, host in enumerate(cluster.hosts):
        named += ssh(host.ssh, f"hosts[{index}].ssh.")
    named.append(("apiserver.audit_policy", cluster.apiserver.audit_policy))
    named.append(("network.manifest", Path(manifest) if manifest and "://" not in manifest else None))
    for server, access in cluster.runtime.registry_access.items():
        around = f"runtime.registry_access.{server}."
        named += [(f"{around}ca_file", access.ca_file), (f"{around}login_file", access.login_file)]
    named.append(("os.proxy.login_file", cluster.os.proxy.login_file if cluster.os.proxy else None))
    named.append(("artifacts.directory", cluster.artifacts.directory))
    named += [(f"artifacts.images[{index}]", image) for index, image in enumerate(cluster.artifacts.images)]
    return [(field, path) for field, path in named if path and not str(path).startswith("env:") and not path.exists()]
