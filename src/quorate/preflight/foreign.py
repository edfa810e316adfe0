"""Judge of what others left: the data of another cluster, which an apply would break or be broken by."""

from collections.abc import Mapping
from itertools import chain

from quorate.component.cni import CONF
from quorate.component.context import address
from quorate.pki import profiles
from quorate.preflight.check import Question, World
from quorate.preflight.traces import PARTS, TOOLS, Tool
from quorate.render.etcd_disk import REMAINS, has_log
from quorate.render.sh import quote, sh
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec import pki_files
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import CNI_CONF, STATE, UNITS

AUTHORITIES: Mapping[str, str] = {pki_files.CA: "ca.crt", profiles.ETCD_CA: "etcd-ca.crt"}
"""Where a host keeps the CAs of its cluster, and their ids in ours."""
SHOWN = 6
"""Paths of one tool that are told."""


def _ask(world: World, host: Host) -> str:
    """The CAs, what tools left, and whether their services run; what quorate put there is in its own notes."""
    if world.settled(host):
        return ""
    paths = dict.fromkeys(path for tool in TOOLS for path in (*tool.marks, *tool.also))
    services = sorted({f"{service}.service" for tool in TOOLS for service in tool.services})
    folder = world.cluster.etcd.data_dir
    member = quote(f"{folder}/member")
    return f"""\
echo asked
if ! {has_log(folder)} && kb=$(du -sk {member} 2>/dev/null); then echo "remains ${{kb%%[!0-9]*}}"; fi
{sh("sha256sum", *AUTHORITIES)}
left() {{ if [ -e "$1" ] || [ -L "$1" ]; then echo "left $1"; fi; }}
for f in {sh(*paths)}; do left "$f"; done
for f in {sh(*(f"{UNITS}/{part}.service" for part in PARTS))} {CNI_CONF}/*; do
  if ! grep -qsxF -- "$f" {STATE}/made && ! [ -e "{STATE}/found$f" ]; then left "$f"; fi
done
systemctl show -p Id -p ActiveState -p UnitFileState -- {sh(*services)}"""


DATA = Question("data", _ask)


def data(world: World, host: Host) -> Verdict | None:
    """Nothing of another cluster is on a host that is new in this one. Ours has our CAs beside it."""
    if world.settled(host):
        return None
    lines = world.answer(host, DATA.name).splitlines()
    if "asked" not in lines:
        return unchecked()
    facts, pems = world.facts(host), world.context.secrets
    if not pems.pems:
        return unchecked("without a plan our keys are not known")
    sums = {words[1]: words[0] for words in map(str.split, lines) if len(words) == 2 and words[1] in AUTHORITIES}
    strange = [path for path, digest in sums.items() if digest != pems.digest(AUTHORITIES[path])]
    # Where our CA lies we built, and what is beside it the operator may have put there.
    ours = len(strange) < len(sums)
    left = [] if ours else [line.removeprefix("left ") for line in lines if line.startswith("left ")]
    found, live = _tools(left), _live(lines)
    kilobytes = sum(int(line.split()[1]) for line in lines if line.startswith("remains "))
    if why := _etcd(world, host, kilobytes, foreign=profiles.ETCD_CA in strange or profiles.ETCD_CA not in sums):
        return failed("; ".join([why, *_words(found, live)]))
    if strange and facts.running:
        runs = ", ".join(sorted(facts.running)[:4])
        return failed("; ".join([f"belongs to another cluster, by {strange[0]}: {runs} run", *_words(found, live)]))
    if alive := {tool: paths for tool, paths in found.items() if tool.alive or live & set(tool.services)}:
        return failed("; ".join(_words(alive, live)))
    units = [path for path in left if path.startswith(f"{UNITS}/") and path not in chain(*found.values())]
    if runs := ", ".join(path for path in units if path.rpartition("/")[2].removesuffix(".service") in live):
        return failed(f"services that quorate did not install run, or start with the host: {runs}")
    if nets := _networks(world, host, left):
        return failed(f"the runtime would take another pod network than ours: rm {' '.join(nets)}")
    etcd = [world.cluster.etcd.data_dir] if facts.etcd_member and not host.has(Role.ETCD) else []
    rest = ", ".join([*strange, *units, *etcd])
    if words := [*_words(found, live), *([rest] if rest else [])]:
        return warned(f"something of another cluster is left: {'; '.join(words)}")
    return passed()


def _etcd(world: World, host: Host, kilobytes: int, *, foreign: bool) -> str:
    """Why the data of etcd on a host that shall have a member can't become its own; empty when they can.

    `kilobytes` are there without a log.
    """
    folder, listed = world.cluster.etcd.data_dir, world.context.facts.members
    if host.has(Role.ETCD) and kilobytes >= REMAINS:
        return f"{folder}/member has {kilobytes} kB and no log of etcd's (wal): no member can start with it"
    if not (host.has(Role.ETCD) and world.facts(host).etcd_member):
        return ""
    if foreign:
        return f"{folder} holds a member of another etcd cluster, or this one's state folder was lost"
    # On a cluster that runs they are laid aside.
    if listed and host.ip not in {address(one) for one in listed} and not world.context.is_ghost(host):
        return f"{folder} holds the data of a member that etcd has removed"
    return ""


def _tools(left: list[str]) -> Mapping[Tool, list[str]]:
    """Whose traces they are, by what only they make."""
    there = set(left)
    return {
        tool: [path for path in (*tool.marks, *tool.also) if path in there] for tool in TOOLS if there & set(tool.marks)
    }


def _words(found: Mapping[Tool, list[str]], live: frozenset[str]) -> list[str]:
    """Whose traces, which, and what to do, for each tool."""
    words = []
    for tool, paths in found.items():
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        runs = ", ".join(f"{name}.service" for name in tool.services if name in live)
        says = f", and {runs}" if runs else ""
        words.append(f"a cluster of {tool.name}'s, by {', '.join(paths[:SHOWN])}{more}{says}: {tool.leave}")
    return words


def _live(lines: list[str]) -> frozenset[str]:
    """Services of the tools that run, or that start with the host."""
    found, name = set(), ""
    for line in lines:
        key, _, value = line.partition("=")
        if key == "Id":
            name = value.removesuffix(".service")
        elif (key, value) in (("ActiveState", "active"), ("UnitFileState", "enabled")):
            found.add(name)
    return frozenset(found)


def _networks(world: World, host: Host, left: list[str]) -> list[str]:
    """Configurations of pod networks that a runtime takes instead of ours, for it takes the first by name."""
    if world.cluster.network.cni != "routed" or not host.has(Role.WORKER):
        return []
    read = (".conf", ".conflist", ".json")
    return [path for path in left if path.startswith(f"{CNI_CONF}/") and path.endswith(read) and path < CONF]
