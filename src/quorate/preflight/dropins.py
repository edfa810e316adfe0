"""Judge of drop-ins: what others left beside our units changes them without a word, as that of kubeadm's package does.

A unit that comes with its own file still takes every drop-in of its name: with two `ExecStart` it does not load, with a
stranger's it is another program.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quorate.preflight.check import Question, World
from quorate.render import questions
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.resource.file import File
from quorate.resource.unit import Unit
from quorate.spec.cluster import Host

GRAVE = re.compile(
    r"Exec\w+|Type|PIDFile|BusName|NotifyAccess|Environment\w*|PassEnvironment|UnsetEnvironment"
    r"|User|Group|DynamicUser|Root\w+|KillMode|Restart|RemainAfterExit|Condition\w+|Assert\w+|Refuse\w+"
)
"""Settings by which it is another program, another user's, or one that starts and ends otherwise, or not at all."""
LIGHT = re.compile(
    r"Limit\w+|Nice|OOMScoreAdjust|(CPU|IO)(Weight|Scheduling\w+|Accounting)|Tasks\w+|Memory(Accounting|Low|Min)"
    r"|Timeout\w+|Log\w+|Standard(Output|Error)|Syslog\w+|Slice|After|Before|Wants|Description|Documentation"
)
"""Settings that a site chooses for its hosts."""
MEANT = re.compile(r"(?:(?:https?|ftp|all|no)_proxy|GOMAXPROCS|GOGC|GOMEMLIMIT|GODEBUG)=", re.IGNORECASE)
"""Variables that a site chooses for its hosts: the way through its proxy, and what tunes programs written in Go."""
VENDOR = ("/usr/", "/lib/")
"""Here packages keep theirs, and bring them back."""


@dataclass(frozen=True)
class DropIn:
    """One file that changes a unit."""

    unit: str
    path: str
    settings: tuple[tuple[str, str], ...]
    """Those of [Unit] and [Service], in their order."""

    @property
    def grave(self) -> tuple[str, ...]:
        """The settings by which it is no more the service that we wrote."""
        return self._keys(lambda key, value: bool(GRAVE.fullmatch(key)) and not _meant(key, value))

    @property
    def heavy(self) -> tuple[str, ...]:
        """Those by which it may not do what it has to."""
        return self._keys(lambda key, value: not (LIGHT.fullmatch(key) or _meant(key, value)))

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return self._keys(lambda key, value: True)

    def _keys(self, which: Callable[[str, str], bool]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for key, value in self.settings if which(key, value)))

    @property
    def fix(self) -> str:
        """What takes it away; a package's file is hidden by an empty one of its name, for an upgrade brings it back."""
        if not self.path.startswith(VENDOR):
            return sh("rm", self.path)
        hidden = f"/etc/systemd/system/{'/'.join(self.path.rsplit('/', 2)[1:])}"
        return f"{sh('mkdir', '-p', hidden.rpartition('/')[0])}; {sh('ln', '-s', '/dev/null', hidden)}"


def _meant(key: str, value: str) -> bool:
    words = re.findall(r'"[^"]*"|\'[^\']*\'|\S+', value)
    return key == "Environment" and bool(words) and all(MEANT.match(word.strip("\"'")) for word in words)


def units(world: World, host: Host) -> tuple[str, ...]:
    """The services that the plan has on a host."""
    resources = (step.resource for step in world.plan.steps.values()) if world.plan else ()
    return tuple(resource.unit for resource in resources if isinstance(resource, Unit) and resource.host == host.name)


def _names(unit: str) -> list[str]:
    """Whose drop-ins a unit takes: its own, those of each beginning up to a dash, and those of all services."""
    stem, _, kind = unit.rpartition(".")
    parts = stem.split("-")
    return [unit, *(f"{'-'.join(parts[:n])}-.{kind}" for n in range(len(parts) - 1, 0, -1)), kind]


def _ask(world: World, host: Host) -> str:
    """Each drop-in that counts, after its unit and path; a link to nothing hides those of its name."""
    asked = [(unit, *_names(unit)) for unit in units(world, host)]
    return questions.drop_ins(asked) if asked else ""


DROP_INS = Question("drop-ins", _ask)


def drop_ins(answer: str) -> tuple[DropIn, ...]:
    """What a host tells."""
    found: list[tuple[str, str, list[str]]] = []
    for line in answer.splitlines():
        if line.startswith("in "):
            _, unit, path = line.split(" ", 2)
            found.append((unit, path, []))
        elif line.startswith("| ") and found:
            found[-1][2].append(line[2:])
    return tuple(DropIn(unit, path, _settings(lines)) for unit, path, lines in found)


def _settings(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """The settings of [Unit] and [Service]; a line that ends with a backslash goes on in the next, over comments."""
    section, whole, found = "", "", []
    for line in lines:
        if line.lstrip()[:1] in ("#", ";"):
            continue
        whole += line.strip()
        if whole.endswith("\\"):
            whole = f"{whole[:-1]} "
            continue
        if whole.startswith("["):
            section = whole
        elif section in ("[Unit]", "[Service]") and "=" in whole:
            key, _, value = whole.partition("=")
            found.append((key.strip(), value.strip()))
        whole = ""
    return tuple(found)


def untouched(world: World, host: Host) -> Verdict | None:
    """Nobody else's drop-in makes another service of one of ours."""
    if world.plan is not None and not units(world, host):
        return None
    answer = world.answer(host, DROP_INS.name)
    if "asked" not in answer.splitlines():
        return unchecked(
            "without a plan our services are not known" if world.plan is None else "the host does not tell"
        )
    resources = (step.resource for step in world.plan.steps.values()) if world.plan else ()
    ours = {resource.path for resource in resources if isinstance(resource, File) and resource.host == host.name}
    found = [each for each in drop_ins(answer) if each.path not in ours]
    if words := _told(found, lambda each: each.grave, fixed=True):
        return failed(words)
    if words := _told(found, lambda each: each.heavy):
        return warned(words)
    return passed(_told(found, lambda each: each.all))


def _told(found: Iterable[DropIn], which: Callable[[DropIn], tuple[str, ...]], *, fixed: bool = False) -> str:
    """Each file with its settings of a sort; that for all services is one file of many units."""
    files: dict[str, list[DropIn]] = {}
    for each in found:
        if which(each):
            files.setdefault(each.path, []).append(each)
    words = []
    for path, (one, *more) in files.items():
        of = f"{one.unit} and {len(more)} more" if more else one.unit
        words.append(f"{path} sets {', '.join(which(one))} of {of}" + (f" ({one.fix})" if fixed else ""))
    return "; ".join(words)
