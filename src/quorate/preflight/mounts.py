"""Judge of the mounts: programs can't run where a mount says noexec, as guides to hardening advise for /var and /opt.

Measured, not assumed: what is mounted by bind has the options of the mount that it comes from, so programs in a pod's
volumes are refused; an overlay has options of its own, so programs of an image run also when its layers lie on noexec.
nodev and nosuid harm nothing here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from quorate.preflight.check import Question, World
from quorate.render.questions import nearest
from quorate.render.sh import quote
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.resource.package import Packages
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import BALANCER, BIN, CNI_BIN


@dataclass(frozen=True)
class Mount:
    """A line of /proc/mounts."""

    point: str
    options: frozenset[str]


@dataclass(frozen=True)
class _Place:
    """A folder from which programs run, and what comes of it when they may not."""

    folder: str
    harm: str
    fatal: bool = True


def _places(world: World, host: Host) -> Iterator[_Place]:
    worker = host.has(Role.WORKER)
    if worker or host.has(Role.CONTROL_PLANE) or host.has(Role.ETCD):
        yield _Place(BIN, "no program of the cluster starts")
    if worker:
        yield _Place(CNI_BIN, "no pod gets its network")
        yield _Place(world.cluster.kubelet_dir(host), "programs in volumes of pods don't run", fatal=False)
        yield _Place(world.cluster.runtime_dir(host), "programs in volumes that images declare don't run", fatal=False)
    if host.has(Role.LOAD_BALANCER) and world.cluster.endpoint.vip:
        yield _Place(BALANCER, "keepalived can't ask for the balancer's health")
    steps = world.plan.changes if world.plan else ()
    if any(isinstance(p := step.resource, Packages) and p.host == host.name and p.manager == "apt" for step in steps):
        yield _Place("/var/lib/dpkg", "dpkg can't run what packages want run at their installation")


def _ask(world: World, host: Host) -> str:
    """Where each folder really is, for it or one above it may be a link; then the mounts."""
    folders = " ".join(quote(place.folder) for place in _places(world, host))
    if not folders:
        return ""
    return f"""\
for f in {folders}; do
  {nearest("e", "$f")}
  r=$(cd -P -- "$e" && pwd -P) || r=$e; e=${{e%/}}; r=${{r%/}}; echo "at $f $r${{f#"$e"}}"
done
while read -r l; do printf 'mount %s\\n' "$l"; done </proc/mounts
"""


MOUNTS = Question("mounts", _ask)


def mounts(answer: str) -> tuple[Mount, ...]:
    """The mounts that a host tells, in the order in which they were made."""
    found = [line.split() for line in answer.splitlines() if line.startswith("mount ")]
    return tuple(Mount(_plain(words[2]), frozenset(words[4].split(","))) for words in found if len(words) >= 5)


def _plain(path: str) -> str:
    """The kernel writes blanks in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def holder(path: str, known: tuple[Mount, ...]) -> Mount | None:
    """The mount that holds a path: the longest above it, and of two at one place the later, which hides the other."""
    above = [mount for mount in known if f"{path}/".startswith(f"{mount.point.rstrip('/')}/")]
    return max(enumerate(above), key=lambda pair: (len(pair[1].point), pair[0]))[1] if above else None


def programs(world: World, host: Host) -> Verdict | None:
    """No mount takes the right to run away from what has to."""
    places = tuple(_places(world, host))
    if not places:
        return None
    answer = world.answer(host, MOUNTS.name)
    known = mounts(answer)
    if not known:
        return unchecked()
    real = {words[1]: words[2] for line in answer.splitlines() if (words := line.split(" ", 2))[0] == "at"}
    held = [(place, holder(real.get(place.folder, place.folder), known)) for place in places]
    bad = [(place, mount) for place, mount in held if mount and "noexec" in mount.options]
    if not bad:
        return passed()
    words = [f"{place.folder} is on {mount.point}, mounted noexec: {place.harm}" for place, mount in bad]
    points = dict.fromkeys(mount.point for _, mount in bad)
    words.append("now: " + "; ".join(f"mount -o remount,exec {point}" for point in points))
    return (failed if any(place.fatal for place, _ in bad) else warned)("; ".join(words))
