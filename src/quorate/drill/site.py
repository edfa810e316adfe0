"""Faults that a site itself makes: its network service starts anew, its firewall is reloaded, an address is renewed.

What a site's own service really does is preferred to what only resembles it; the host says which.
"""

from ipaddress import IPv4Address

from quorate.component.cni import ROUTES
from quorate.component.keeper import check_of
from quorate.component.proxy import RULES
from quorate.drill.injections import killed_whole
from quorate.execute.outage import Injection
from quorate.render.drill import site
from quorate.render.hostports import HOST_PORTS
from quorate.spec.cluster import Host
from quorate.spec.layout import FIREWALL

CHECKS = tuple(check_of(each) for each in (FIREWALL, ROUTES, HOST_PORTS, RULES))
"""Scripts that say what is missing of the rules and routes that a host has."""


def renewed(host: Host, unit: str = "") -> Injection:
    """The host's own address goes and comes again, as in a DHCP renewal; then a balancer, if named, ends by signal 9.

    With the balancer the virtual IP goes, and must not take the address along: whichever came first is the primary one.
    """
    if not unit:
        return _broken(host, site.renewed(host.ip, "", ""))
    kill = killed_whole(host, unit)
    fault = site.renewed(host.ip, kill.begin, f", then {unit.removesuffix('.service')} killed")
    return _broken(host, fault, also=kill.heal)


def restarted(host: Host, vip: IPv4Address | None = None) -> Injection:
    """The host's network service starts anew; where there is none, what that takes away goes: pod routes, and a
    virtual IP.

    Rules of routing stay then: the cluster has none of its own.
    """
    return _broken(host, site.restarted(host.ip, str(vip or "")))


def reloaded(host: Host) -> Injection:
    """The site's firewall is loaded anew, which knows of nothing that the cluster has put there."""
    return _broken(host, site.reloaded(CHECKS))


def _broken(host: Host, fault: site.Fault, also: str = "") -> Injection:
    """The fault, and what is healed besides."""
    return Injection(host, site.BEGIN, "\n".join(filter(None, (also, site.HEAL))), prepare=site.prepare(fault))
