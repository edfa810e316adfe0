"""Random clusters that obey every rule, with hosts, supply and secrets to compile them from."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from quorate.component.context import Context
from quorate.core import Blob
from quorate.pki.keyring import Keyring
from quorate.render.facts import MODULES, SYSCTLS
from quorate.spec.cluster import (
    ApiServer,
    Cluster,
    Daemon,
    Endpoint,
    Etcd,
    Host,
    Kubelet,
    LoadBalancer,
    Network,
    Os,
    Role,
    Runtime,
    Versions,
)
from quorate.spec.cluster import Dns as DnsSection
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.processes import unit_names
from quorate.spec.rules import check
from quorate.spec.secrets import Secrets
from quorate.spec.sections import RegistryAccess
from quorate.spec.supply import Supply
from quorate.spec.versions import supported, table
from quorate.state.subnets import Subnets, allocate

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
DOCKER = ("dockerd", "docker", "docker-proxy", "docker-init")
BINARIES = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    *("etcd", "etcdctl", "runc", *CONTAINERD, *DOCKER, "bridge", "host-local", "loopback", "portmap"),
)
TEXT = st.text(st.sampled_from("a0 '\"$`\\%;{}()&|<>*?#~!=-é"), max_size=12) | st.sampled_from(
    ["$(id)", "`id`", "'; id; '", "%n", "${HOME}", "a\\", "EOF", "--", "\\n", "!!", "{{.}}", "on", "1.30"]
)
"""What a free text of the cluster file may hold: one line without control characters."""


def blob(name: str) -> Blob:
    return Blob(Path("/nonexistent") / name, hashlib.sha256(name.encode()).hexdigest(), len(name))


def supply(kubernetes: str, runtime: str, images: bool) -> Supply:
    parts = {"containerd": CONTAINERD, "cni_plugins": ("bridge", "host-local", "loopback", "portmap")}
    return Supply(
        versions={"kubernetes": kubernetes},
        binaries={name: blob(name) for name in BINARIES},
        parts=parts | ({"docker": DOCKER} if runtime == "docker" else {}),
        libraries={"docker": ("libc6",)},
        images={f"quorate/{name}:1": blob(name) for name in ("pause", "busybox")} if images else {},
        pause_image="quorate/pause:1" if images else None,
    )


@cache
def _secrets(text: str) -> Secrets:
    return Keyring(Cluster.model_validate_json(text), {}, NOW, lambda id: id).complete()


def secrets(cluster: Cluster) -> Secrets:
    """Real ones; made once for each set of hosts and names that go into certificates."""
    plain = Cluster(
        name="c",
        hosts=tuple(Host(name=h.name, address=h.address, roles=h.roles, node_name=h.node_name) for h in cluster.hosts),
        endpoint=cluster.endpoint,
    )
    return _secrets(plain.model_dump_json())


_flags = st.dictionaries(st.just("log-flush-frequency"), TEXT, max_size=1)
"""Of every program of Kubernetes, whatever the version."""
_etcd_flags = st.dictionaries(st.sampled_from(["cors", "log-level", "logger"]), TEXT, max_size=2)


@st.composite
def _hosts(draw: st.DrawFn) -> tuple[Host, ...]:
    count = draw(st.integers(1, 7))
    numbers = draw(st.lists(st.integers(1, 99), min_size=count, max_size=count, unique=True))
    everybody = range(count)
    masters = draw(st.sets(st.sampled_from(everybody), min_size=1))
    least = 3 if len(masters) > 1 else 1
    assume(count >= least)
    odd = draw(st.sampled_from([size for size in (1, 3, 5, 7) if least <= size <= count]))
    members = set(draw(st.permutations(everybody))[:odd])
    workers = draw(st.sets(st.sampled_from(everybody), min_size=1))
    balancers = draw(st.sets(st.sampled_from(everybody)))
    workers |= set(everybody) - masters - members - balancers
    hosts = []
    for index, number in enumerate(numbers):
        parts = {
            Role.CONTROL_PLANE: masters,
            Role.ETCD: members,
            Role.WORKER: workers,
            Role.LOAD_BALANCER: balancers,
        }
        roles = tuple(role for role, who in parts.items() if index in who)
        name = f"h{number:02}"
        node = f"10.0.0.{number}" if draw(st.booleans()) else None
        labels = draw(
            st.dictionaries(
                st.sampled_from(["disk", "example.org/rack", "node-role.kubernetes.io/x"]),
                st.sampled_from(["ssd", "r.1", ""]),
            )
        )
        more: dict[str, Any] = {"node_name": node, "labels": labels} if Role.WORKER in roles else {}
        hosts.append(Host(name=name, address=IPv4Address(f"10.0.0.{number}"), roles=roles, **more))
    return tuple(hosts)


_access = st.dictionaries(
    st.sampled_from(["r.example.org:5000", "quay.io"]),
    st.sampled_from(
        [
            RegistryAccess(ca_file=Path("ca.pem")),
            RegistryAccess(login_file=Path("env:LOGIN")),
            RegistryAccess(ca_file=Path("ca.pem"), login_file=Path("env:LOGIN")),
        ]
    ),
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Clusters that the loader would take."""
    hosts = draw(_hosts())
    balanced = any(host.has(Role.LOAD_BALANCER) for host in hosts)
    several = sum(host.has(Role.CONTROL_PLANE) for host in hosts) > 1
    if balanced:
        name = draw(st.sampled_from([None, "api.example.org"]))
        endpoint = Endpoint(vip=IPv4Address("10.0.0.200"), name=name, port=8443)
    elif draw(st.booleans()):
        outside = draw(st.sampled_from([{}, {"address": "api.example.org", "port": 8443}]))
        endpoint = Endpoint(local=True, **outside)
    elif several or draw(st.booleans()):
        endpoint = Endpoint(address="api.example.org", port=8443)
    else:
        endpoint = Endpoint()
    minor = table(draw(st.sampled_from(supported())))
    mirrors = draw(st.sets(st.sampled_from(["docker.io", "quay.io", "registry.k8s.io"])))
    kind = draw(st.sampled_from(["containerd", *(["docker"] if minor.dockershim else [])]))
    if kind == "docker":
        mirrors &= {"docker.io"}
    cluster = Cluster(
        name="c",
        versions=Versions(kubernetes=f"{minor.kubernetes}.1"),
        hosts=hosts,
        endpoint=endpoint,
        load_balancer=LoadBalancer(kind=draw(st.sampled_from(["nginx", "haproxy"]))),
        runtime=Runtime(
            kind=kind,
            data_dir=draw(st.sampled_from([None, "/data/runtime"])),
            registry_mirrors=dict.fromkeys(sorted(mirrors), ("https://mirror.example.org",)),
            registry_access=draw(_access),
        ),
        network=Network(
            cni=draw(st.sampled_from(["routed", "none"])),
            profile=draw(st.sampled_from(["lan", "wan"])),
            proxy_mode=draw(st.sampled_from(minor.proxy_modes)),
        ),
        dns=DnsSection(enabled=draw(st.booleans()), address=draw(st.sampled_from([None, IPv4Address("10.96.0.53")]))),
        etcd=Etcd(extra_flags=draw(_etcd_flags)),
        apiserver=ApiServer(encrypt_secrets=draw(st.booleans()), extra_flags=draw(_flags)),
        controller_manager=Daemon(extra_flags=draw(_flags)),
        scheduler=Daemon(extra_flags=draw(_flags)),
        kubelet=Kubelet(extra_flags=draw(_flags), config={"providerID": draw(TEXT)}),
        proxy=Daemon(extra_flags=draw(_flags)),
        os=Os(
            hostname=draw(st.booleans()),
            ntp_servers=draw(st.sampled_from([(), ("10.0.0.5", "ntp.example.org")])),
            swap=draw(st.sampled_from(["off", "keep"])),
            firewall=draw(st.sampled_from(["open-ports", "off", "keep"])),
            selinux=draw(st.sampled_from(["keep", "permissive"])),
            sysctl=draw(st.dictionaries(st.just("net.ipv4.tcp_rmem"), TEXT)),
        ),
    )
    assert check(cluster, offline=True) == []
    return cluster


def host_facts() -> st.SearchStrategy[HostFacts]:
    """Hosts of all kinds; what is active there is none of ours."""
    return st.builds(
        HostFacts,
        package_manager=st.sampled_from(["apt", "dnf", "yum", "zypper", "none"]),
        cgroup=st.sampled_from(["v1", "v2"]),
        container=st.booleans(),
        conntrack_writable=st.booleans(),
        oom_adjustable=st.booleans(),
        nofile_limit=st.sampled_from([1024, 65536, 524288, 1048576]),
        ipvs=st.booleans(),
        nftables=st.booleans(),
        firewall=st.sampled_from(["none", "firewalld", "ufw", "iptables"]),
        selinux=st.sampled_from(["absent", "disabled", "permissive", "enforcing"]),
        time_sync=st.sampled_from(["", "chrony"]),
        sysctls=st.sets(st.sampled_from((*SYSCTLS, "net.ipv4.tcp_rmem"))).map(frozenset),
        modules=st.sets(st.sampled_from(MODULES)).map(frozenset),
    )


class World(Context):
    """A context that a failing test can show."""

    def __repr__(self) -> str:
        hosts = {host.name: " ".join(host.roles) for host in self.cluster.hosts}
        rest = self.cluster.model_dump(mode="json", exclude={"hosts"}, exclude_defaults=True)
        return f"World({hosts} {rest})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What hypothesis calls."""
        printer.text(repr(self))


@st.composite
def contexts(draw: st.DrawFn, running: bool = True) -> Context:
    """All inputs of `compile_cluster`."""
    cluster = draw(clusters())
    hosts = {}
    for host in cluster.hosts:
        units = draw(st.sets(st.sampled_from(unit_names()))) if running else set()
        hosts[host.name] = replace(draw(host_facts()), running=frozenset(units))
    routed = cluster.network.cni == "routed"
    cidrs = allocate(cluster, Subnets({}, {})).given if routed else {}
    version = cluster.versions.kubernetes
    access = cluster.runtime.registry_access
    return World(
        cluster,
        Facts(hosts=hosts, pod_cidrs=cidrs),
        supply(version, cluster.runtime.kind, draw(st.booleans())),
        secrets(cluster),
        table(version),
        {f"ca-of {server}": "-----BEGIN CERTIFICATE-----\n" for server, given in access.items() if given.ca_file},
        {server: "user:pass:word" for server, given in access.items() if given.login_file},
    )
