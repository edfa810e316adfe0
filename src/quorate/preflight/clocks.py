"""Judge of the time daemon: one runs or will, and takes the servers that the file names beside the host's own."""

from quorate.component.clock import takes
from quorate.preflight.check import Question, World
from quorate.render.clock import BEGIN, END
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host

OTHERS = Question(
    "time-servers",
    lambda world, host: (
        f"""\
for f in /etc/chrony/chrony.conf /etc/chrony.conf /etc/chrony/sources.d/*.sources /etc/chrony/conf.d/*.conf \\
  /etc/systemd/timesyncd.conf /etc/systemd/timesyncd.conf.d/*.conf; do
  [ ! -r "$f" ] || sed -n '/^{BEGIN}$/,/^{END}$/d; s/^[[:blank:]]*\\(server\\|pool\\|peer\\)[[:blank:]]\\{{1,\\}}/&/p
s/^[[:blank:]]*NTP=[[:blank:]]*[^[:blank:]]/&/p' "$f" | sed "s|^|$f |"
done"""
        if world.cluster.os.ntp_servers
        else ""
    ),
)
"""Lines of the host's own files that name servers: `FILE LINE`."""


def time_sync(world: World, host: Host) -> Verdict | None:
    """A daemon keeps the clock right, or will."""
    facts, os = world.facts(host), world.cluster.os
    if os.ntp_servers and facts.time_sync:
        return _told(world, host, facts.time_sync) if takes(facts) else _other(facts.time_sync)
    if facts.container:
        return passed("shares the clock of the machine below")
    if not facts.kernel:
        return unchecked()
    if facts.time_sync:
        return passed(facts.time_sync)
    if os.time_sync == "install":
        return passed("none; apply installs chrony")
    return (failed if os.time_sync == "require" else warned)(f"no time daemon runs (os.time_sync: {os.time_sync})")


def _other(daemon: str) -> Verdict:
    return failed(f"{daemon} runs, for which os.ntp_servers are not written: chrony and systemd-timesyncd are known")


def _told(world: World, host: Host, daemon: str) -> Verdict:
    """What the host's own files name stays, and is told."""
    chrony = daemon != "systemd-timesyncd"
    lines = [line.split() for line in world.answer(host, OTHERS.name).splitlines()]
    own = [words for words in lines if len(words) > 1 and words[1].startswith("NTP=") != chrony]
    if chrony:
        named = ", ".join(f"{words[2]} ({words[0]})" for words in own[:3] if len(words) > 2)
        return passed(f"{daemon}; stays beside os.ntp_servers, which are preferred: {named}" if named else daemon)
    named = ", ".join(f"{' '.join(words[1:])} ({words[0]})" for words in own[:3])
    return warned(f"{daemon} asks first, before os.ntp_servers: {named}") if named else passed(daemon)
