"""The clock: a time daemon where there is none, and the site's servers for chrony or timesyncd, whichever runs.

What a host's own configuration says stays: ours stand beside it, in a drop-in where the daemon reads one. chrony
prefers ours, timesyncd asks servers of its main file first; the preflight names both.
"""

from collections.abc import Iterator, Sequence

from quorate.component.context import Context
from quorate.render import clock as scripts
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.spec.cluster import Host
from quorate.spec.facts import HostFacts
from quorate.spec.layout import NTP_NOTE

TAKES = ("chronyd", "chrony", "systemd-timesyncd")
"""The daemons whose servers are written, by their units."""


def clock(context: Context, host: Host) -> Iterator[Resource]:
    """Daemon and servers; a container has its machine's clock, and gets servers only for a daemon that it runs."""
    os, facts = context.cluster.os, context.of(host)
    missing = not facts.time_sync and not facts.container
    if os.time_sync == "install" and missing:
        yield from context.packages(host, "time", "chrony")
        unit = "chrony" if facts.package_manager == "apt" else "chronyd"
        yield Setting(
            host=host.name,
            what="time daemon",
            want=(("active", "yes"),),
            check=f"systemctl is-active -q {unit} && echo active=yes",
            script=f"systemctl enable --now -q {unit}",
        )
    if os.ntp_servers and (missing or takes(facts)):
        yield servers(host.name, os.ntp_servers)


def takes(facts: HostFacts) -> bool:
    """Whether the daemon that runs is one that we know how to tell."""
    return facts.time_sync in TAKES


def servers(host: str, names: Sequence[str]) -> Setting:
    """The servers, written for the daemon that runs when it is asked for: another one may have come meanwhile."""
    return Setting(
        host=host,
        what="NTP servers",
        want=(("servers", " ".join(names)),),
        check=scripts.check(names),
        script=scripts.write(names),
        undo=scripts.undo(names),
        note=NTP_NOTE,
    )
