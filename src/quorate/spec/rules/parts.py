"""Rules about the parts of the cluster: versions, certificates, settings of hosts, and owned flags."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from urllib.parse import urlsplit

from quorate.core import QuorateError
from quorate.spec.cluster import Cluster, Daemon, Etcd
from quorate.spec.rules.owned import FIELDS, OWNED
from quorate.spec.rules.reach import misspelt
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where
from quorate.spec.versions import ETCD_FLAWS, repaired, table

_NEEDED = (
    *("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"),
    *("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"),
)
"""The first two are one setting by two names."""


def versions(cluster: Cluster) -> Iterator[Fault]:
    """Every part is of a version that quorate knows and that fits the chosen Kubernetes."""
    given = cluster.versions
    try:
        minor = table(given.kubernetes)
    except QuorateError as error:
        where = ("versions", "kubernetes")
        yield Fault(where, str(error), error.hint, value=given.kubernetes)
        return
    for part, fitting in (
        ("etcd", minor.etcd_range),
        ("containerd", minor.containerd_range),
        ("docker", minor.docker_range),
    ):
        version = getattr(given, part)
        if part == "docker" and version and cluster.runtime.kind != "docker":
            rule_ = f"has no effect with runtime.kind {cluster.runtime.kind}"
            yield Fault(("versions", part), rule_, "remove it, or write `runtime: {kind: docker}`")
        elif version and fitting and version not in fitting:
            rule_ = f"{part} {version} does not fit Kubernetes {given.kubernetes}: it wants {fitting}"
            yield Fault(("versions", part), rule_, "remove it for the tried version")
    for flaw in ETCD_FLAWS:
        if flaw.never and given.etcd and given.etcd in flaw.releases:
            fix = f"write {repaired(given.etcd)} or later, or remove it for {minor.etcd}"
            yield Fault(("versions", "etcd"), f"etcd {given.etcd} {flaw.fault}", fix)


def runtime(cluster: Cluster) -> Iterator[Fault]:
    """The runtime and proxy mode exist in the chosen Kubernetes."""
    text = cluster.versions.kubernetes
    try:
        minor = table(text)
    except QuorateError:  # told by `versions`
        return
    if cluster.runtime.kind == "docker" and not minor.dockershim:
        rule_ = f"Kubernetes {text} has no dockershim any more (gone in 1.24)"
        fix = "write `kind: containerd` (in a cluster that runs first that alone, and `quorate apply`), "
        yield Fault(("runtime", "kind"), rule_, f"{fix}or a version up to 1.23")
    if cluster.runtime.kind == "docker" and cluster.runtime.keep_docker:
        yield Fault(("runtime", "keep_docker"), "has no effect with runtime.kind docker", "remove it")
    if cluster.network.proxy_mode not in minor.proxy_modes:
        rule_ = f"kube-proxy {text} has no such mode"
        yield Fault(("network", "proxy_mode"), rule_, f"write one of {', '.join(minor.proxy_modes)}")
    for index, registry in enumerate(cluster.runtime.insecure_registries):
        if not 1 <= int(registry.partition(":")[2] or 1) <= 65535:
            rule_ = "has a port that is not one from 1 to 65535"
            yield Fault(("runtime", "insecure_registries", index), rule_, "correct the port")


def certificates(cluster: Cluster) -> Iterator[Fault]:
    """A certificate ends before its CA does, and is renewed during its life."""
    pki = cluster.pki
    if pki.leaf_days >= pki.ca_days:
        field = "leaf_days" if "leaf_days" in pki.model_fields_set else "ca_days"
        rule_ = f"certificates of {pki.leaf_days} days outlive their CA of {pki.ca_days} days"
        yield Fault(
            ("pki", field),
            rule_,
            f"write `pki: {{leaf_days: {max(1, min(365, pki.ca_days - 1))}}}`, or a longer ca_days",
        )
    if pki.renew_before_days >= pki.leaf_days:
        field = "renew_before_days" if "renew_before_days" in pki.model_fields_set else "leaf_days"
        rule_ = f"renewal {pki.renew_before_days} days before the end of {pki.leaf_days} days would never cease"
        yield Fault(("pki", field), rule_, f"write `pki: {{renew_before_days: {max(1, pki.leaf_days // 6)}}}`")


def flags(cluster: Cluster) -> Iterator[Fault]:
    """Flags on which the cluster's parts agree are not for one part to change."""
    for part, owned in OWNED.items():
        given: Etcd | Daemon = getattr(cluster, part)
        for flag in given.extra_flags:
            where = (part, "extra_flags", flag)
            if fix := owned.get(flag):
                yield Fault(where, f"--{flag} is set by quorate, which other parts rely on", fix)


def sysctls(cluster: Cluster) -> Iterator[Fault]:
    """Kernel settings without which pods have no network stay as they are."""
    for name in cluster.os.sysctl:
        if name.replace("/", ".") in _NEEDED:
            yield Fault(("os", "sysctl", name), "is set to 1 by quorate: pods need it", "remove it")


def ntp(cluster: Cluster) -> Iterator[Fault]:
    """Servers for the time are given once, are names or addresses, and are asked."""
    servers = cluster.os.ntp_servers
    if servers and cluster.os.time_sync == "ignore":
        rule_ = "has no effect with time_sync: ignore"
        yield Fault(("os", "ntp_servers"), rule_, "remove it, or write `time_sync: install`")
    for index, name in enumerate(servers):
        if name in servers[:index]:
            yield Fault(("os", "ntp_servers", index), "is given twice", "keep one of the two")
        elif misspelt(name):
            yield Fault(("os", "ntp_servers", index), "is neither a name nor an IPv4 address", "correct it")


def proxy(cluster: Cluster) -> Iterator[Fault]:
    """The hosts' proxy has an address and a port that there are, and so have those that are asked without it."""
    if cluster.os.proxy is None:
        return
    at, _, port = urlsplit(cluster.os.proxy.url).netloc.partition(":")
    where: Where = ("os", "proxy", "url")
    if port and not 0 < int(port) < 65536:
        yield Fault(where, f"{port} is no port", "write one from 1 to 65535")
    if misspelt(at):
        yield Fault(where, f"{at} is neither a name nor an IPv4 address", "correct it")
    for index, each in enumerate(cluster.os.proxy.no_proxy):
        here: Where = ("os", "proxy", "no_proxy", index)
        if "/" not in each and misspelt(each.partition(":")[0]):
            yield Fault(here, "is neither a name nor an IPv4 address", "correct it")
        elif "/" in each and (network := _network(each)) != each:
            yield Fault(here, "must be the first address of a network and a prefix length", f"write {network}")


def _network(text: str) -> str:
    """The network that is meant."""
    try:
        return str(IPv4Network(text, strict=False))
    except ValueError:
        return "a network such as 10.0.0.0/8"


def kubelet_config(cluster: Cluster) -> Iterator[Fault]:
    """Fields of KubeletConfiguration on which other parts rely stay as they are."""
    for field, fix in FIELDS.items():
        if field in cluster.kubelet.config:
            yield Fault(("kubelet", "config", field), "is set by quorate, which other parts rely on", fix)


def names_in_certificate(cluster: Cluster) -> Iterator[Fault]:
    """Further names for the API's certificate are given once and are not networks."""
    sans = cluster.apiserver.extra_sans
    for index, name in enumerate(sans):
        if name in sans[:index]:
            yield Fault(("apiserver", "extra_sans", index), "is given twice", "keep one of the two")
        elif misspelt(name):
            yield Fault(("apiserver", "extra_sans", index), "is neither a name nor an IPv4 address", "correct it")


RULES = (
    rule("versions", versions),
    rule("versions runtime network", runtime),
    rule("pki", certificates),
    rule("etcd apiserver controller_manager scheduler kubelet proxy", flags),
    rule("os", sysctls),
    rule("os", ntp),
    rule("os", proxy),
    rule("kubelet", kubelet_config),
    rule("apiserver", names_in_certificate),
)
