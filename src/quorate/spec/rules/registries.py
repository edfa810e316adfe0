"""Rules about registries and mirrors: a login goes to nobody unknown, Docker is asked for nothing it can't do."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from quorate.spec.cluster import Cluster
from quorate.spec.rules.reach import misspelt
from quorate.spec.rules.rule import rule
from quorate.spec.sections import RegistryAccess
from quorate.spec.tree import Fault, Where

HUB = "docker.io"
_HUB_SERVERS = ("hub.docker.com", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
"""Who answers for it. Images have its own name, and what is said of a server of it is not found."""
_REMOVE = "remove it, or use `kind: containerd`"


def servers(cluster: Cluster) -> Iterator[Fault]:
    """Every registry and mirror is a server that there may be, by the name that images have for it."""
    runtime, around = cluster.runtime, "runtime"
    named: list[tuple[Where, str]] = [((around, "registry_mirrors", name), name) for name in runtime.registry_mirrors]
    named += [((around, "registry_access", name), name) for name in runtime.registry_access]
    named += [((around, "insecure_registries", n), name) for n, name in enumerate(runtime.insecure_registries)]
    urls: list[tuple[Where, str]] = [
        ((around, "registry_mirrors", registry, n), urlsplit(url).netloc)
        for registry, urls in runtime.registry_mirrors.items()
        for n, url in enumerate(urls)
    ]
    for where, server in (*named, *urls):
        name, _, port = server.partition(":")
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            yield Fault(where, f"{port} is no port", "correct it: ports go from 1 to 65535", value=server)
        elif misspelt(name):
            yield Fault(where, "is neither a name nor an IPv4 address", "correct it", value=server)
        elif server in _HUB_SERVERS and (where, server) in named:
            rule_ = f"has no effect: images are those of {HUB}, of which it is a server"
            yield Fault(where, rule_, f"write {HUB}", value=server)


def access(cluster: Cluster) -> Iterator[Fault]:
    """Whoever is named is told of, and a login is never sent unprotected."""
    runtime = cluster.runtime
    urls = [urlsplit(url) for urls in runtime.registry_mirrors.values() for url in urls]
    plain = {url.netloc for url in urls if url.scheme == "http"}
    for server, given in runtime.registry_access.items():
        where: Where = ("runtime", "registry_access", server)
        if given.ca_file is None and given.login_file is None and given.override_path is None:
            yield Fault(where, "says nothing", "name a ca_file or a login_file, or remove it")
        if given.override_path is not None and not any(u.netloc == server and u.path.strip("/") for u in urls):
            rule_ = "has no effect: no mirror has a URL with a path there"
            yield Fault((*where, "override_path"), rule_, "remove it, or write the mirror's URL with its path")
        if given.login_file is not None and (server in plain or server in runtime.insecure_registries):
            how = "without TLS" if server in plain else "without a look at its certificate"
            rule_ = f"its login would be sent to whoever answers: {server} is asked {how}"
            yield Fault(_login(server, given), rule_, "name its ca_file and ask it by https, or remove the login")


def docker(cluster: Cluster) -> Iterator[Fault]:
    """Docker's mirrors are of one registry, have no path, and get no login."""
    runtime = cluster.runtime
    if runtime.kind != "docker":
        return
    for registry, urls in runtime.registry_mirrors.items():
        where: Where = ("runtime", "registry_mirrors", registry)
        if registry != HUB:
            yield Fault(where, f"Docker has mirrors of {HUB} alone", _REMOVE)
            continue
        for index, url in enumerate(urls):
            if urlsplit(url).path.strip("/"):
                rule_ = "Docker takes no path in a mirror's URL"
                yield Fault((*where, index), rule_, "remove the path, or use `kind: containerd`")
    mirrors = [urlsplit(url).netloc for url in runtime.registry_mirrors.get(HUB, ())]
    for server, given in runtime.registry_access.items():
        if given.login_file and server in mirrors:
            yield Fault(_login(server, given), "Docker sends no login to a mirror", _REMOVE)
        elif given.login_file and server == HUB and mirrors:
            yield Fault(_login(server, given), f"Docker would send its login to the mirrors of {HUB}, too", _REMOVE)


def _login(server: str, given: RegistryAccess) -> Where:
    """Where a login stands: the whole entry when there is nothing else in it, for without it the entry says nothing."""
    around: Where = ("runtime", "registry_access", server)
    return (*around, "login_file") if given.ca_file else around


RULES = (
    rule("runtime", servers),
    rule("runtime", access),
    rule("runtime", docker),
)
