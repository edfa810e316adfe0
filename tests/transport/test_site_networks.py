"""What a site's own programs do to a host's network: the real firewalld, NetworkManager, and portmap of CNI."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import own_net
import programs
from own_net import Net, needs_root

from quorate.component import cni, firewall, virtual_ip
from quorate.component.context import Context
from quorate.component.keeper import check_of
from quorate.core import Blob
from quorate.render import firewalld, hostports
from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import (
    BALANCER_DOWN,
    BALANCER_HUNG,
    CNI_BIN,
    ENDPOINT_CHECK,
    FIREWALL,
    KEEPALIVED_CONF,
    LOADED,
    STATE,
)
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

BUS = """\
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/>
</policy></busconfig>
"""
HOSTS = [
    {"name": "m", "address": "10.0.0.1", "roles": ["control-plane", "etcd", "load-balancer", "worker"]},
    {"name": "w", "address": "10.0.0.2", "roles": ["worker", "etcd"]},
]


def context() -> Context:
    given = {"name": "c", "hosts": HOSTS, "endpoint": {"vip": "10.0.0.200", "port": 8443}}
    found = {"m": HostFacts(interface="eth9", firewall="firewalld"), "w": HostFacts(firewall="firewalld")}
    known = Facts(found, pod_cidrs={"m": "10.244.1.0/24", "w": "10.244.2.0/24"})
    plugins = {name: Blob(Path("/nonexistent"), "0" * 64, 1) for name in cni.PLUGINS}
    return Context(Cluster.model_validate(given), known, Supply(binaries=plugins), Secrets({}, {}), table("1.36"))


def files(resources: Iterator[Resource]) -> dict[str, str]:
    return {resource.path: resource.content for resource in resources if isinstance(resource, File)}


class Site(Net):
    """Namespaces of network and mounts in which a program lies as if it were installed, with a bus to talk on."""

    spaces = ("net", "mnt")

    def sh(self, script: str, check: bool = True) -> str:
        bus = "export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket"
        return super().sh(f"{bus}; {script}", check)

    def put(self, path: str, text: str, mode: str = "644") -> None:
        self.sh(f"mkdir -p {path.rpartition('/')[0]}; printf %s {quote(text)} >{path}; chmod {mode} {path}")

    def prepare(self, program: str) -> None:
        self.sh("mount --make-rprivate /; mount -t tmpfs t /run; mount -t sysfs s /sys; ip link set lo up")
        self.sh("mkdir -p /run/o/up /run/o/work /run/lib/up /run/lib/work /run/dbus")
        root = programs.root(program)
        if root:
            self.sh(f"mount -t overlay -o lowerdir={root}/usr:/usr overlay /usr")
        etc = f"{root}/etc:/etc" if root and (root / "etc").exists() else "/etc"
        self.sh(f"mount -t overlay -o lowerdir={etc},upperdir=/run/o/up,workdir=/run/o/work overlay /etc")
        self.sh("mount -t overlay -o lowerdir=/var/lib,upperdir=/run/lib/up,workdir=/run/lib/work overlay /var/lib")
        self.sh(f"mkdir -p {STATE} {LOADED} /etc/quorate")

    def bus(self) -> None:
        self.put("/run/bus.conf", BUS)
        self.begin("dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
        assert self.within(20, lambda: self.sh("[ -S /run/dbus/system_bus_socket ]", check=False) == "0")

    def serve(self, *argv: str) -> "subprocess.Popen[str]":
        return self.begin("env", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket", *argv)


@contextmanager
def site(folder: Path, program: str) -> Iterator[Site]:
    with own_net.own_net(Site, folder) as made:
        made.prepare(program)
        yield made


def rich(net: Site, *more: str) -> set[str]:
    return set(net.sh(f"firewall-cmd {' '.join(more)} --list-rich-rules").splitlines())


@needs_root
def test_firewalld_keeps_the_clusters_ports_and_its_own_ssh(tmp_path: Path) -> None:
    given = context()
    wide = {'rule port port="22" protocol="tcp" accept', 'rule family="ipv4" source address="10.244.0.0/16" accept'}
    own = 'rule family="ipv4" source address="192.0.2.7" port port="22" protocol="tcp" accept'
    with site(tmp_path, "firewalld") as net:
        for path, text in files(firewall.firewall(given, given.cluster.hosts[0])).items():
            net.put(path, text)
        net.bus()
        net.serve("firewalld", "--nofork", "--nopid")
        assert net.within(60, lambda: net.sh("firewall-cmd -q --state", check=False) == "0")
        do, missing = f"/bin/sh {FIREWALL}", f"/bin/sh {check_of(FIREWALL)}"

        # As an earlier version left it: SSH open to everybody, everything to pods.
        old = [*wide, 'rule family="ipv4" source address="10.0.0.2" port port="2380" protocol="tcp" accept', own]
        every = " ".join(f"--add-rich-rule={quote(rule)}" for rule in old)
        net.sh(f"firewall-cmd -q --permanent {every}; firewall-cmd -q --reload")
        assert "etcd clients" in net.sh(missing)
        net.sh(f"{do} fill")
        assert net.sh(missing) == ""
        assert not wide & (rich(net) | rich(net, "--permanent")), "SSH is widened no more"
        ours = rich(net)
        assert own in ours, "and the site's own way in is still there"
        assert rich(net, "--permanent") == ours

        net.sh(f"{do} keep")
        assert net.sh(f"cat {firewalld.SEEN}"), "from now on a look is a digest"
        net.sh("firewall-cmd -q --complete-reload")
        assert rich(net) == ours
        rule = 'rule family="ipv4" source address="10.0.0.2" port port="2379" protocol="tcp" accept'
        net.sh(f"firewall-cmd -q --permanent --remove-rich-rule={quote(rule)}; firewall-cmd -q --reload")
        assert "does not let in: etcd clients; it is put back" in net.sh(f"{do} keep")
        assert rich(net) == rich(net, "--permanent") == ours
        net.sh(f"{do} close")
        assert rich(net) == {own}
        assert "quorate" not in net.sh("firewall-cmd --permanent --get-policies")


CONF = {
    "kind": "cniCacheV1",
    "containerId": "abcdef0123",
    "ifName": "eth0",
    "networkName": "quorate",
    "netns": "/var/run/netns/cni-1",
    "cniArgs": [["K8S_POD_NAMESPACE", "default"], ["K8S_POD_NAME", "web"]],
    "capabilityArgs": {
        "dns": {"Servers": ["10.96.0.10"]},
        "portMappings": [{"HostPort": 8081, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
    },
    "result": {
        "cniVersion": "0.3.1",
        "interfaces": [{"name": "cni0"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/var/run/netns/cni-1"}],
        "ips": [{"version": "4", "interface": 2, "address": "10.244.1.9/24", "gateway": "10.244.1.1"}],
        "dns": {},
    },
}
"""What libcni notes of a pod, in its order; the network's configuration goes between."""


@needs_root
def test_ports_of_hosts_that_lead_to_pods_come_back(tmp_path: Path) -> None:
    given = context()
    with site(tmp_path, "portmap") as net:
        net.sh(f"mkdir -p {CNI_BIN} && mount -t tmpfs t {CNI_BIN} && ln -s /usr/lib/cni/portmap {CNI_BIN}")
        for path, text in files(cni.resources(given, given.cluster.hosts[0])).items():
            if path.startswith(hostports.HOST_PORTS):
                net.put(path, text)
        net.sh("ip link add cni0 type bridge; ip addr add 10.244.1.1/24 dev cni0; ip link set cni0 up")
        do, missing = f"/bin/sh {hostports.HOST_PORTS} keep", f"/bin/sh {check_of(hostports.HOST_PORTS)}"
        nat = "iptables -w -t nat -S"
        assert net.sh(missing) == ""
        for conf in (cni.conflist(given, given.cluster.hosts[0]), {"plugins": [{"type": "loopback"}], "name": "x"}):
            text = base64.b64encode(json.dumps(conf, indent=2).encode()).decode()
            noted = {**dict(list(CONF.items())[:2]), "config": text, **dict(list(CONF.items())[2:])}
            folder = "/var/lib/cni/results" if "cniVersion" in conf else "/var/lib/cni/cache/results"
            net.put(f"{folder}/{conf['name']}-abcdef0123-eth0", json.dumps(noted, separators=(",", ":")))
        assert net.sh(missing) == "ports of this host do not lead to pod default/web\n"
        for harm in (":", "iptables -t nat -F", "nft flush ruleset"):
            net.sh(harm)
            assert "web" in net.sh(missing), harm
            assert "put back" in net.sh(do)
            assert net.sh(missing) == "", harm
            assert "-p tcp -m tcp --dport 8081 -j DNAT --to-destination 10.244.1.9:80" in net.sh(nat)
        before = net.sh(nat)
        assert net.sh(do) == "", "what is there is left in peace"
        assert net.sh(nat) == before

        # A pod that ends while its ports are written leaves none.
        net.sh("iptables -t nat -F")
        script = net.sh(f"cat {hostports.HOST_PORTS}").replace("sleep 1\n", "rm -f /var/lib/cni/results/*\n")
        net.put("/run/ends", script)
        net.sh("/bin/sh /run/ends keep")
        assert "8081" not in net.sh(nat)


LAN = """\
[connection]
id=lan
type=ethernet
interface-name=eth9
[ipv4]
method=manual
address1=10.0.0.1/24
[ipv6]
method=disabled
"""


@needs_root
def test_the_virtual_ip_outlives_networkmanager(tmp_path: Path) -> None:
    given = context()
    vip = str(given.cluster.endpoint.vip)
    with site(tmp_path, "NetworkManager") as net:
        for path, text in files(virtual_ip.resources(given, given.cluster.hosts[0])).items():
            if path in (KEEPALIVED_CONF, ENDPOINT_CHECK, virtual_ip.ADDRESS):
                net.put(path, text, "755" if path != KEEPALIVED_CONF else "644")
        net.sh(f"mkdir -p /run/quorate /run/udev/data; echo 0 >{BALANCER_DOWN}; echo 0 >{BALANCER_HUNG}")
        net.sh("ip link add eth9 type veth peer name eth8; ip link set eth8 up")
        net.sh("for i in $(ip -o link | cut -d: -f1); do printf 'I:1\\n' >/run/udev/data/n$i; done")
        net.put("/etc/NetworkManager/system-connections/lan.nmconnection", LAN, "600")
        net.bus()

        def manager() -> "subprocess.Popen[str]":
            begun = net.serve("NetworkManager", "--no-daemon")
            assert net.within(60, lambda: " 10.0.0.1/24 " in net.sh("ip -4 -o addr show dev eth9"))
            return begun

        def held() -> bool:
            said = net.sh("ip -4 -o addr show dev eth9")
            return f" {vip}/" in said and " 10.0.0.1/24 " in said

        running = manager()
        path, needs = programs.find("keepalived")
        argv = [*(f"{name}={value}" for name, value in needs.items()), path]
        net.begin("env", *argv, "--dont-fork", "--vrrp", "--log-console", "--no-syslog", f"-f{KEEPALIVED_CONF}")
        net.begin("/bin/sh", virtual_ip.ADDRESS)
        assert net.within(60, held)
        for harm in ("nmcli c up lan", "nmcli c down lan; nmcli c up lan", "nmcli d reapply eth9"):
            net.sh(harm)
            assert net.within(30, held), harm
        net.end(running)
        manager()
        assert net.within(30, held)
