"""The clock: a time daemon where there is none, and the site's servers for chrony or timesyncd, whichever runs.

What a host's own configuration says stays: ours stand beside it, in a drop-in where the daemon reads one. chrony
prefers ours, timesyncd asks servers of its main file first; the preflight names both.
"""

from collections.abc import Iterator, Sequence

from quorate.component.context import Context
from quorate.render import clock as clock_text
from quorate.render.sh import quote
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
    find = clock_text.find(names)
    wanted = " ".join(names)
    return Setting(
        host=host,
        what="NTP servers",
        want=(("servers", wanted),),
        check=f"{find}{clock_text.CUT}"
        f'[ -n "$q_file" ] || exit 0\nif [ "$(ours "$q_file")" = "$q_want" ] && '
        f'[ "$(cat {NTP_NOTE} 2>/dev/null)" = "$q_file" ]; then echo {quote(f"servers={wanted}")}; fi',
        script=f"{find}{clock_text.CUT}"
        '[ -n "$q_file" ] || { echo "neither chrony nor systemd-timesyncd runs" >&2; exit 1; }\n'
        f'q_was=$(cat {NTP_NOTE} 2>/dev/null) || :; [ -z "$q_was" ] || [ "$q_was" = "$q_file" ] || cut "$q_was"\n'
        'umask 022; mkdir -p -- "${q_file%/*}"; umask 077\n'
        '{ others "$q_file"; printf "%s\\n" "$q_want"; } | settle 0644 root:root "$q_file"\n'
        f"load\nprintf '%s\\n' \"$q_file\" | settle 0644 root:root {NTP_NOTE}",
        undo=f"{find}{clock_text.CUT}"
        f'q_was=$(cat {NTP_NOTE} 2>/dev/null) || :; if [ -n "$q_was" ]; then cut "$q_was"; rm -f {NTP_NOTE}; load; fi',
        note=NTP_NOTE,
    )
