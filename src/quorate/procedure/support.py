"""What a report of a fault needs from the hosts: versions, services, the journals around it, our files without keys."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from quorate.component.settings import apiserver, kubelet, proxy, scheduler
from quorate.core import CommandFailed, Transport, TransportError
from quorate.render.sh import quote
from quorate.resource import ask
from quorate.spec.cluster import Cluster
from quorate.spec.layout import BACKUP_UNIT, BIN, STATE
from quorate.spec.processes import unit_names
from quorate.state.history import JournalRun

ANSWER_WITHIN_S = 45.0
"""Seconds for a host's whole answer, the way to it included; a healthy one takes some five."""
LINES, BYTES = 400, 100_000
"""Of each unit's journal, the last of them."""
LARGEST = 64 * 1024
"""Bytes of a file that is taken: larger ones are programs and images."""
BEFORE, USUAL, LONGEST = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
"""How long before a failed run journals are read from, how long without one, and at the most."""
PRIVATE = (kubelet.CONFIG, proxy.CONFIG, scheduler.CONFIG, apiserver.AUDIT_POLICY, apiserver.AUTHENTICATION)
"""Files of ours that only root reads, though no secret is in them; all others that only root reads stay there."""

_FILE = "\x04"
"""Begins the path of a file."""
_PROGRAMS = ("kubelet", "kube-apiserver", "kube-proxy", "etcd", "containerd", "runc", "dockerd")


@dataclass
class Hosts:
    """What the hosts said."""

    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By host, then by name of the file in the archive."""
    lost: dict[str, str] = field(default_factory=dict)
    """Hosts that did not answer, with the reason."""


def since(runs: Sequence[JournalRun], now: datetime) -> datetime:
    """From when on journals tell: a little before the last run, where that did not end well; else the last hour."""
    last = runs[-1] if runs else None
    try:
        began = datetime.fromisoformat(last.time) - BEFORE if last and last.result != "done" else now - USUAL
        return min(max(began, now - LONGEST), now - BEFORE)
    except (ValueError, TypeError):  # a journal that somebody else wrote
        return now - USUAL


def questions(moment: datetime) -> dict[str, str]:
    """The questions to a host, each a piece of sh, by the name of the file that takes the answer."""
    read = f"--since=@{int(moment.timestamp())} -q --no-pager --utc -o short-iso"
    shown = (
        "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,ActiveEnterTimestamp,InactiveEnterTimestamp"
    )
    units = " ".join(unit_names())
    ours = " ".join(map(quote, PRIVATE))
    return {
        "versions.txt": _versions(),
        "host.txt": "date -u; uptime; nproc; free -m; df -h -x tmpfs -x overlay; ip -4 -o addr show; ip -4 route",
        "units.txt": f"TZ=UTC systemctl show --no-pager -p {shown} -- {units}; systemctl --no-pager --failed",
        **{f"journal/{unit}.txt": _journal(f"-u {unit} {read}") for unit in (*unit_names(), BACKUP_UNIT)},
        "journal/kernel.txt": _journal(f"-k -p warning {read}"),
        "files": f"{{ cat {STATE}/made; find {STATE}/found -type f | sed 's|^{STATE}/found||'; }} | sort -u |\n"
        "while IFS= read -r f; do\n"
        f"  [ -f \"$f\" ] && [ ! -L \"$f\" ] && [ \"$(stat -c %s -- \"$f\")\" -le {LARGEST} ] || continue\n"
        f"  case \" {ours} \" in *\" $f \"*) m=4;; *) m=$(stat -c %a -- \"$f\");; esac\n"
        "  case $m in *[4567]) ;; *) continue;; esac\n"
        "  case $f in *.crt|*.pem|*.key|*.pub|*kubeconfig) continue;; esac\n"
        "  grep -qI . -- \"$f\" || continue\n"
        f"  printf '{_FILE}%s\\n' \"$f\"; tr -d '\\001\\002\\004' <\"$f\"\n"
        "done",
    }  # fmt: skip


def _journal(words: str) -> str:
    # Not its own `-n`: with a time to begin at, those would be the first lines.
    return f"journalctl {words} | tail -n {LINES} | tail -c {BYTES} | tr -d '\\001\\002\\004'"


def _versions() -> str:
    programs = " ".join(_PROGRAMS)
    return (
        "( . /etc/os-release; echo \"$PRETTY_NAME\" ); uname -srm; systemctl --version | head -n 1\n"
        f"for p in {programs}; do\n"
        f"  if [ -x {BIN}/$p ]; then printf '%s: ' $p; {BIN}/$p --version 2>&1 | head -n 1; fi\n"
        "done\n"
        "if command -v haproxy >/dev/null; then haproxy -v | head -n 1; fi\n"
        "if command -v nginx >/dev/null; then nginx -v 2>&1; fi\n"
        "if command -v keepalived >/dev/null; then keepalived --version 2>&1 | head -n 1; fi"
    )  # fmt: skip


async def gather(cluster: Cluster, via: Transport, moment: datetime) -> Hosts:
    """Ask all hosts side by side, each for so long and no longer. Raises LocalError for what is wrong here."""
    found = Hosts()
    asked = questions(moment)
    scripts = {"script": list(asked.values())}

    async def one(host: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                output = await via.run(host, ask.script(scripts))
        except TransportError as error:
            found.lost[host] = error.message
        except CommandFailed as error:
            found.lost[host] = str(error)
        except TimeoutError:
            found.lost[host] = f"no whole answer within {ANSWER_WITHIN_S:g} s"
        else:
            said = dict(zip(asked, ask.answers(scripts, output)["script"], strict=True))
            found.texts[host] = {**_files(said.pop("files")), **{name: text for name, text in said.items() if text}}

    await asyncio.gather(*(one(host.name) for host in cluster.hosts))
    return found


def _files(output: str) -> Mapping[str, str]:
    """Files by their place in the archive; a path that could lead out of it is left out."""
    found = {}
    for block in output.split(_FILE)[1:]:
        path, _, text = block.partition("\n")
        plain = path.isprintable() and path.startswith("/") and str(PurePosixPath(path)) == path
        if plain and ".." not in PurePosixPath(path).parts:
            found[f"files{path}"] = text
    return found
