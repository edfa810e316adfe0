"""Proxies: what hosts fetch from outside may go through one, and nothing else does.

Programs take proxies from variables, which come with a login (PAM reads /etc/environment), with systemd's
DefaultEnvironment, or with a drop-in of a unit. A proxy that does not know the cluster's addresses makes each request
inside it wait for minutes; so scripts and services begin without these variables, whatever a host has.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from urllib.parse import quote, urlsplit

from quorate.spec.cluster import Cluster

VARIABLES = tuple(
    form(f"{what}_proxy") for what in ("http", "https", "ftp", "all", "no") for form in (str.lower, str.upper)
)
"""Curl, apt and libraries read the small ones, Go (etcd, Kubernetes, containerd) both."""


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without proxies."""
    return {name: text for name, text in environment.items() if name not in VARIABLES}


def url(c: Cluster, login: str) -> str:
    """The URL of the hosts' proxy, with its login (`USER:PASSWORD`) if it has one; empty without a proxy."""
    if c.os.proxy is None:
        return ""
    scheme, place = c.os.proxy.url.rstrip("/").split("://")
    user, _, word = login.partition(":")
    return f"{scheme}://{quote(user, safe='')}:{quote(word, safe='')}@{place}" if login else f"{scheme}://{place}"


def variables(c: Cluster, through: str) -> dict[str, str]:
    """By name in small letters, what sends a program's requests to the outside through the proxy at that URL."""
    return {"http_proxy": through, "https_proxy": through, "no_proxy": ",".join(direct(c))} if through else {}


def direct(c: Cluster) -> tuple[str, ...]:
    """What is asked without the proxy: this host, all hosts, the endpoint, pods, services, mirrors that are inside.

    Both addresses and networks: Go and recent libcurl know networks, apt knows names and addresses alone.
    """
    hosts = [name for host in c.hosts for name in dict.fromkeys((host.ip, host.name, host.node))]
    networks = [str(c.network.pod_cidr), str(c.network.service_cidr)]
    given = c.os.proxy.no_proxy if c.os.proxy else ()
    found = ["localhost", "127.0.0.1", "127.0.0.0/8", "::1", *hosts, c.front, c.server, *networks]
    return tuple(dict.fromkeys([*found, ".svc", f".{c.network.dns_domain}", *_inside(c), *given]))


def _inside(c: Cluster) -> list[str]:
    """Registries and mirrors at private addresses. Of a name nobody knows where it is: `no_proxy` has those."""
    urls = [mirror for mirrors in c.runtime.registry_mirrors.values() for mirror in mirrors]
    servers = [*urls, *(f"//{name}" for name in (*c.runtime.insecure_registries, *c.runtime.registry_access))]
    names = (urlsplit(each).hostname or "" for each in servers)
    return [name for name in names if _private(name)]


def _private(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return isinstance(address, IPv4Address) and address.is_private
