"""Judges of the disks: room for what the plan writes and for what grows, and inodes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quorate.plan.words import size
from quorate.preflight.check import Question, World
from quorate.render.questions import nearest
from quorate.render.sh import quote
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.resource.file import Binary, File
from quorate.resource.kube import Image
from quorate.resource.package import Packages
from quorate.spec.cluster import Host, Role

BLOCK = 4096
"""Bytes that the smallest file takes."""
UNPACKED = 2
"""An image lies twice in a runtime: its layers as they came, and unpacked. A package is its file and its content."""
WAL = 3 * 64 * 1024 * 1024
"""Bytes with which etcd begins: its log is laid out in segments of 64 MB, one ahead (etcd's wal.SegmentSizeBytes),
and the first store beside it."""
NODE = 0.15
"""kubelet's `imagefs.available`: below this share a node says DiskPressure and takes no pods."""
INODES = 0.05
"""kubelet's `nodefs.inodesFree`."""


@dataclass(frozen=True)
class Disk:
    """A file system, in bytes and inodes; None where it has no fixed number of them."""

    mount: str
    bytes_: int
    free: int
    """For root."""
    avail: int
    """For everybody else, etcd among them."""
    inodes: int | None
    inodes_free: int | None


def places(world: World, host: Host) -> tuple[str, ...]:
    """The folders that grow or that the plan fills."""
    found = ["/", *needs(world, host)]
    found += [world.cluster.etcd.data_dir] if host.has(Role.ETCD) else []
    found += [world.cluster.runtime_dir(host), world.cluster.kubelet_dir(host)] if host.has(Role.WORKER) else []
    return tuple(dict.fromkeys(found))


def needs(world: World, host: Host) -> Mapping[str, int]:
    """Bytes that the plan writes on a host, by folder: what is replaced is there twice until it is renamed.

    Of an upgrade's stages each replaces what the one before has brought, but for images and packages.
    """
    found: dict[str, int] = defaultdict(int)
    kept: dict[str, int] = defaultdict(int)
    for plan in (world.plan, *world.later) if world.plan else ():
        passing: dict[str, int] = defaultdict(int)
        for step in plan.changes:
            resource = step.resource
            if step.key.host != host.name or not resource.desired:
                continue
            if isinstance(resource, Binary):
                passing[resource.path.rpartition("/")[0]] += resource.blob.size
            elif isinstance(resource, Image):
                kept[world.cluster.runtime_dir(host)] += UNPACKED * resource.blob.size
            elif isinstance(resource, Packages):
                kept["/usr"] += UNPACKED * sum(file.blob.size for file in resource.files)
            elif isinstance(resource, File):
                passing[resource.path.rpartition("/")[0] or "/"] += max(BLOCK, len(resource.content.encode()))
        for path, count in passing.items():
            found[path] = max(found[path], count)
    for path, count in kept.items():
        found[path] += count
    if world.comes(host, Role.ETCD) and not world.facts(host).etcd_member:
        found[world.cluster.etcd.data_dir] += WAL
    return found


def _ask_df(world: World, host: Host) -> str:
    paths = " ".join(quote(path) for path in places(world, host))
    return f"""\
set -- {paths}; n=$#
while [ $n -gt 0 ]; do
  {nearest("e", "$1")}
  echo "at $1 $e"; set -- "$@" "$e"; shift; n=$((n - 1))
done
df -B1 --output=size,used,avail,itotal,iavail,file,target -- "$@"
"""


DISKS = Question("disk", _ask_df)


def disks(world: World, host: Host) -> Mapping[str, Disk]:
    """The file system below each folder that was asked about."""
    lines = [line.split(None, 6) for line in world.answer(host, DISKS.name).splitlines()]
    found = {words[5]: _disk(words) for words in lines if len(words) == 7 and words[0].isdigit()}
    return {words[1]: found[words[2]] for words in lines if len(words) == 3 and words[0] == "at" and words[2] in found}


def _disk(words: list[str]) -> Disk:
    total, used, avail, inodes, inodes_free = (int(word) if word.isdigit() else 0 for word in words[:5])
    return Disk(words[6], total, total - used, avail, inodes or None, inodes_free if inodes else None)


def space(world: World, host: Host) -> Verdict | None:
    """Room for what the plan writes; a warning where it will not last."""
    found = disks(world, host)
    if not found:
        return unchecked()
    need: dict[str, int] = defaultdict(int)
    paths: dict[str, list[str]] = defaultdict(list)
    of = {disk.mount: disk for disk in found.values()}
    for path, count in needs(world, host).items():
        if path in found:
            need[found[path].mount] += count
            paths[found[path].mount].append(path)
    short = [
        f"{mount} needs {size(need[mount])} ({need[mount]} bytes) for {', '.join(sorted(paths[mount])[:4])} "
        f"and has {size(of[mount].free)} ({of[mount].free} bytes)"
        for mount in need
        if need[mount] > of[mount].free
    ]
    if short:
        return failed("; ".join(short))
    if not world.settled(host) and (soon := list(_soon(world, host, found, need))):
        return warned("; ".join(soon))
    return passed(", ".join(f"{mount} {size(disk.avail)} free" for mount, disk in sorted(of.items())))


def _soon(world: World, host: Host, found: Mapping[str, Disk], need: Mapping[str, int]) -> Iterator[str]:
    """What will be short once the cluster is used."""
    data, quota = world.cluster.etcd.data_dir, world.cluster.etcd.quota_bytes
    if host.has(Role.ETCD) and (disk := found.get(data)) and disk.avail < quota:
        yield f"{data} may grow to {size(quota)} (etcd.quota_bytes), {size(disk.avail)} ({disk.avail} bytes) are free"
    path = world.cluster.runtime_dir(host)
    if host.has(Role.WORKER) and (disk := found.get(path)):
        left = disk.avail - need.get(disk.mount, 0)
        if left < NODE * disk.bytes_:
            least = int(NODE * disk.bytes_)
            yield f"{path} will have {size(left)} free, below {size(least)} ({NODE:.0%}) kubelet says DiskPressure"


def inodes(world: World, host: Host) -> Verdict | None:
    """Room for files as such."""
    found = {disk.mount: disk for disk in disks(world, host).values()}
    if not found:
        return unchecked()
    changes = [step for step in world.plan.changes if step.key.host == host.name] if world.plan else []
    counted = {
        mount: (disk.inodes, disk.inodes_free)
        for mount, disk in found.items()
        if disk.inodes is not None and disk.inodes_free is not None
    }
    for mount, (total, left) in counted.items():
        if left < len(changes):
            return failed(f"{mount} has {left} inodes left, the plan makes up to {len(changes)} files")
        if host.has(Role.WORKER) and left < INODES * total:
            return warned(f"{mount} has {left} of {total} inodes left, below {INODES:.0%} kubelet says DiskPressure")
    return passed(", ".join(f"{mount} {left} free" for mount, (_, left) in sorted(counted.items())))
