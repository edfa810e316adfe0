"""Rules about folders that the file chooses for data: each is its owner's alone, for `destroy` empties it."""

from collections.abc import Iterator

from quorate.spec.cluster import RUNTIMES, Cluster, Host, Role
from quorate.spec.layout import BACKUPS, KUBELET_DIR
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where

_SYSTEM = (
    *(
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/proc",
        "/root",
        "/run",
        "/sbin",
        "/snap",
    ),
    *("/sys", "/tmp", "/usr", "/var/mail", "/var/run", "/var/spool", "/var/tmp"),
)
_HOMES = ("/export/home", "/home", "/var/home")
"""Where users have their folders: each of these is somebody's, what lies deeper may be etcd's own."""
_SHARED = ("/opt/kubernetes", "/var/cache", "/var/lib", "/var/log")
_TAKEN = (
    *("/opt/cni", "/opt/kubernetes/bin", "/var/lib/apt", "/var/lib/cni", *RUNTIMES.values()),
    *("/var/lib/dpkg", KUBELET_DIR, "/var/lib/quorate", "/var/lib/rpm", "/var/lib/systemd"),
)
"""Folders that belong to somebody with all that is in them."""


def _foreign(folder: str, own: str) -> bool:
    """Whether a folder is somebody else's; `own` is the owner's usual one."""
    if folder == own:
        return False
    taken = any(_within(folder, path) for path in (*_SYSTEM, *_TAKEN))
    home = folder in _HOMES or folder.rpartition("/")[0] in _HOMES
    return folder in _SHARED or taken or home


def _within(folder: str, other: str) -> bool:
    return f"{folder}/".startswith(f"{other}/")


def own(cluster: Cluster) -> Iterator[Fault]:
    """Each folder is nobody else's."""
    kind = cluster.runtime.kind
    yield from _own(("etcd", "data_dir"), cluster.etcd.data_dir, "etcd", "/var/lib/etcd")
    yield from _own(("runtime", "data_dir"), cluster.runtime.data_dir, kind, RUNTIMES[kind])
    yield from _own(("kubelet", "data_dir"), cluster.kubelet.data_dir, "kubelet", KUBELET_DIR)
    if _foreign(cluster.backup.folder, BACKUPS):
        rule_ = "is somebody else's folder; backups lie in one of their own"
        yield Fault(("backup", "folder"), rule_, f"write {BACKUPS}")


def of_hosts(cluster: Cluster) -> Iterator[Fault]:
    """Nor is a host's own, and it runs pods."""
    kind = cluster.runtime.kind
    for index, host in enumerate(cluster.hosts):
        for field, whose, usual in (("runtime_dir", kind, RUNTIMES[kind]), ("kubelet_dir", "kubelet", KUBELET_DIR)):
            folder, where = getattr(host, field), ("hosts", index, field)
            if folder and not host.has(Role.WORKER):
                fix = "remove it, or give the host the role worker"
                yield Fault(where, "a host without the role worker runs no pods", fix)
            yield from _own(where, folder, whose, usual)


def _own(where: Where, folder: str | None, whose: str, usual: str) -> Iterator[Fault]:
    if folder and _foreign(folder, usual):
        rule_ = f"is somebody else's folder; {whose} needs one of its own, which `destroy` removes"
        yield Fault(where, rule_, f"write {usual}")


def apart(cluster: Cluster) -> Iterator[Fault]:
    """On no host does one of them lie in another."""
    told: set[Where] = set()
    for index, host in enumerate(cluster.hosts):
        places = list(_on(cluster, host, index))
        for number, (where, folder) in enumerate(places):
            for _, other in places[:number]:
                if (_within(folder, other) or _within(other, folder)) and where not in told:
                    told.add(where)
                    rule_ = f"{folder} and {other} of host {host.name} are one within the other"
                    yield Fault(where, rule_, "write a folder beside it", value=folder)


def _on(cluster: Cluster, host: Host, index: int) -> Iterator[tuple[Where, str]]:
    """The folders of a host, and where each is given."""
    if host.has(Role.ETCD):
        yield ("etcd", "data_dir"), cluster.etcd.data_dir
        yield ("backup", "folder"), cluster.backup.folder
    if host.has(Role.WORKER):
        yield _at(index, "runtime", bool(host.runtime_dir)), cluster.runtime_dir(host)
        yield _at(index, "kubelet", bool(host.kubelet_dir)), cluster.kubelet_dir(host)


def _at(index: int, part: str, by_host: bool) -> Where:
    return ("hosts", index, f"{part}_dir") if by_host else (part, "data_dir")


RULES = (
    rule("etcd runtime kubelet backup", own),
    rule("hosts runtime", of_hosts),
    rule("hosts etcd runtime kubelet backup", apart),
)
