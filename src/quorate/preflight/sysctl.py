"""Judge of other sysctl files: whether the kernel settings of the cluster come back after a reboot.

systemd-sysctl reads the files of all folders by name, and the last word counts; of two files with one name that of the
first folder stands for both (sysctl.d(5)). `sysctl --system` reads /etc/sysctl.conf after all of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from quorate.component.system import sysctls
from quorate.preflight.check import Question, World
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host
from quorate.spec.layout import SYSCTLS

_FOLDERS = "/etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d"
"""In the order of systemd-sysctl."""
LATE = ("/etc/sysctl.conf", "/etc/ufw/sysctl.conf")
"""Read at other times than those: by `sysctl --system`, and when ufw starts."""
FORWARD = "net.ipv4.ip_forward"
_TWINS = {"net.ipv4.conf.all.forwarding": FORWARD}
"""One setting of the kernel by two names."""
_COMES = "net.ipv4.conf.veth0.forwarding"
"""udev has this set for each interface that comes, as pods' do, where a file names interfaces by a pattern."""

FILES = Question(
    "sysctl",
    lambda world, host: (
        f"""\
echo asked
for f in {" ".join(f"{each}/*.conf" for each in _FOLDERS.split())} {" ".join(LATE)}; do
  if [ -e "$f" ]; then echo "file $f"; grep -nE '^[[:blank:]]*-?[a-z][^#;=]*=' "$f" | sed 's/^/set /'; fi
done"""
    ),
)


@dataclass(frozen=True)
class Line:
    """One setting in a file."""

    file: str
    number: int
    key: str
    """With dots; it may be a pattern."""
    value: str

    @property
    def pattern(self) -> bool:
        """Whether it is meant for many keys: for none that a file names itself (sysctl.d(5))."""
        return any(sign in self.key for sign in "*?[")

    @property
    def each(self) -> bool:
        """Whether it is about forwarding on interfaces that come."""
        return self.pattern and fnmatch(_COMES, self.key)

    def __str__(self) -> str:
        return f"{self.file}:{self.number} ({self.key} = {self.value})"


def lines(said: str) -> list[Line]:
    """The settings in the order in which they are made at boot; those of LATE in the end."""
    files: dict[str, list[Line]] = {}
    for text in said.splitlines():
        if text.startswith("file "):
            files[text.removeprefix("file ")] = []
        elif files and (found := re.fullmatch(r"set (\d+):\s*-?([^=]*)=(.*)", text)):
            file = next(reversed(files))
            files[file].append(Line(file, int(found[1]), _dotted(found[2].strip()), " ".join(found[3].split())))
    by_name: dict[str, str] = {}
    for path in files:
        if path not in LATE:
            by_name.setdefault(path.rpartition("/")[2], path)
    order = [path for _, path in sorted(by_name.items())] + [path for path in LATE if path in files]
    return [line for path in order for line in files[path]]


def _dotted(key: str) -> str:
    """A key with dots: it may be written with slashes, where a dot is part of a name."""
    first = re.search(r"[./]", key)
    return key.translate(str.maketrans("./", "/.")) if first and first[0] == "/" else key


def clashes(wanted: dict[str, str], said: str) -> Iterator[Line]:
    """Lines that want something else than the cluster."""
    for line in lines(said):
        for key, value in wanted.items():
            names = (key, *(name for name, twin in _TWINS.items() if twin == key))
            about = any(fnmatch(name, line.key) for name in names) or (FORWARD in names and line.each)
            if about and line.file != SYSCTLS and line.value != " ".join(value.split()):
                yield line


def lasting(world: World, host: Host) -> Verdict | None:
    """No file that is read after ours sets what ours does to something else."""
    said = world.answer(host, FILES.name)
    wanted = sysctls(world.context, host)
    if not wanted:
        return None
    if "asked" not in said.splitlines():
        return unchecked()
    ours = SYSCTLS.rpartition("/")[2]
    last: list[str] = []
    late: list[str] = []
    beaten: list[str] = []
    for line in clashes(wanted, said):
        if line.file in LATE:
            late.append(str(line))
        elif line.each or (line.file.rpartition("/")[2] > ours and not line.pattern):
            last.append(str(line))
        else:
            beaten.append(str(line))
    if last:
        return failed(f"after a reboot {'; '.join(last[:3])} counts, not {SYSCTLS}")
    if late:
        return warned(f"{'; '.join(late[:3])} counts after `sysctl --system` or a start of ufw, not {SYSCTLS}")
    return passed(f"{SYSCTLS} comes after {'; '.join(beaten[:3])}" if beaten else "no other file speaks of them")
