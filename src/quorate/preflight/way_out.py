"""Judges of a host's way to the outside: proxies that it names, the proxy that the file names, its name servers."""

import re

from quorate.preflight.check import Question, World
from quorate.render.sh import quote
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec import resolvers
from quorate.spec.cluster import Host, Role
from quorate.spec.logins import of_value

WAIT_S = 3
"""Seconds for a connection to the proxy."""
_FILES = (
    "/etc/environment /etc/systemd/system.conf /etc/systemd/system.conf.d/*.conf /run/systemd/system.conf.d/*.conf "
    "/usr/lib/systemd/system.conf.d/*.conf /etc/systemd/system/*.service.d/*.conf /etc/systemd/system/service.d/*.conf"
)
"""Where a login's or a service's proxy comes from."""


def _ask_proxies(world: World, host: Host) -> str:
    """Lines that name a proxy, those of this login among them, and whether the proxy of the file answers."""
    given = world.cluster.os.proxy
    asked = (
        ""
        if given is None
        else f"""
command -v curl >/dev/null || exit 0
rc=0; curl -s -o /dev/null --noproxy '*' --connect-timeout {WAIT_S} --max-time {WAIT_S} {quote(given.url)} || rc=$?
echo "proxy $rc\""""
    )
    return f"""\
echo asked
grep -iEsnH '^[^#;]*\\b(https?|all)_proxy=.' {_FILES} | sed 's/^/named /'
tr '\\0' '\\n' </proc/$$/environ | grep -iE '^(https?|all)_proxy=.' | sed 's/^/named login:/'{asked}"""


PROXIES = Question("proxies", _ask_proxies)


def proxies(world: World, host: Host) -> Verdict | None:
    """The file's proxy answers; a host that names one of its own is told that nothing goes through that."""
    lines = world.answer(host, PROXIES.name).splitlines()
    given = world.cluster.os.proxy
    if "asked" not in lines:
        return unchecked()
    if given is not None:
        said = next((line.removeprefix("proxy ") for line in lines if line.startswith("proxy ")), "")
        if not said:
            return unchecked("there is no curl")
        # 5 to 7: a name that is not found, and nobody there; 28: silence. All else is an answer.
        return warned(f"{given.url} does not answer") if said in ("5", "6", "7", "28") else passed(given.url)
    if world.settled(host):
        return None
    named = [found for line in lines if (found := re.fullmatch(r"named (login|[^:]+:\d+):(.*)", line))]
    if not named:
        return passed("none")
    where = ", ".join(dict.fromkeys("the login" if each[1] == "login" else each[1] for each in named))
    at = re.search(r"_proxy=\"?([^\s\"']+)", named[0][2], re.IGNORECASE)
    return warned(f"{where}: {of_value(at[1]) if at else 'a proxy'}; neither image pulls nor packages use it")


def name_servers(world: World, host: Host) -> Verdict | None:
    """Pods get name servers that they can reach."""
    facts = world.facts(host)
    if not host.has(Role.WORKER):
        return None
    if not facts.kernel:
        return unchecked()
    chosen = resolvers.chosen(world.cluster, facts)
    good = resolvers.usable(world.cluster, chosen)
    if chosen.path not in {file.path for file in facts.resolvers}:
        return failed(f"{chosen.path} is not there, nor leads it anywhere: kubelet starts no pod")
    bad = [each for each in chosen.servers if each not in good]
    if not good:
        seen = ", ".join(f"{each.path} names {' '.join(each.servers) or 'none'}" for each in facts.resolvers)
        return warned(f"no name server that pods can reach: {seen}")
    if bad:
        return warned(f"{chosen.path} names {' '.join(bad)}, which pods can't reach, beside {' '.join(good)}")
    return passed(f"{' '.join(good)} ({chosen.path})")
