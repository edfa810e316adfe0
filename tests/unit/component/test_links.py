"""systemd-networkd starts anew: the real one, with its own idea of what is foreign, in namespaces of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component import links
from quorate.component.context import Context
from quorate.execute import facts
from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

NETWORKD = "/lib/systemd/systemd-networkd"
SITE = """\
[Match]
Name=eth9
[Network]
Address=192.0.2.11/24
Gateway=192.0.2.1
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
WIDE = """\
[Match]
Type=ether
[Network]
Address=198.51.100.7/24
LinkLocalAddressing=no
"""
"""A file that matches more links than its author thought of."""
MARK = "for i in $(ip -o link | cut -d: -f1); do printf 'I:1\\n' >/run/udev/data/n$i; done"
"""What udev notes of a link. Without it networkd takes the host for a container, and removes nothing."""


def context(found: HostFacts, **more: object) -> Context:
    hosts = [{"name": "m", "address": "192.0.2.11", "roles": ["control-plane", "etcd", "load-balancer", "worker"]}]
    cluster = Cluster.model_validate(
        {"name": "c", "hosts": hosts, "endpoint": {"vip": "192.0.2.100", "port": 8443}, **more}
    )
    return Context(cluster, Facts({"m": found}), Supply(), Secrets({}, {}), table("1.36"))


def files(found: HostFacts, **more: object) -> dict[str, str]:
    given = context(found, **more)
    return {
        resource.path: resource.content
        for resource in links.links(given, given.cluster.hosts[0])
        if isinstance(resource, File)
    }


class Managed(Net):
    """Namespaces of network and mounts, with networkd's folders empty but for a site's files."""

    spaces = ("net", "mnt")

    def put(self, path: str, text: str) -> None:
        self.sh(f"mkdir -p {os.path.dirname(path)}; printf %s {quote(text)} >{path}")

    def prepare(self) -> None:
        self.sh("mount --make-rprivate /; mount -t tmpfs t /run; mount -t sysfs s /sys; mount -t tmpfs t /etc/systemd")
        self.sh(
            "mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp"
        )
        self.sh("mkdir -p /run/udev/data; ip link set lo up; chown -R systemd-network /run/systemd/netif")
        self.sh(f"ip link add eth9 type veth peer name eth8; ip link set eth8 up; {MARK}")
        self.put("/run/systemd/network/10-eth9.network", SITE)

    def start(self) -> "subprocess.Popen[str]":
        """networkd, until it has set the link up."""
        begun = self.begin(NETWORKD)
        assert self.within(20, lambda: "ADMIN_STATE=configured" in self.sh("cat /run/systemd/netif/links/* || :"))
        return begun

    def restart(self, running: "subprocess.Popen[str]") -> None:
        self.sh(MARK)
        self.end(running)
        self.sh("rm -f /run/systemd/netif/links/*")
        self.start()

    def facts(self) -> HostFacts:
        """What quorate asks of the host, where networkd is all that systemd runs."""
        (self.folder / "systemctl").write_text("#!/bin/sh\necho Id=systemd-networkd.service\necho ActiveState=active\n")
        (self.folder / "systemctl").chmod(0o755)
        cluster = context(HostFacts()).cluster
        return facts.parse(self.sh(f"PATH={self.folder}:$PATH; {facts.script(cluster, cluster.hosts[0])}"))

    def has(self) -> tuple[bool, bool, bool]:
        """The virtual IP, a route to pods, a rule."""
        said = self.sh("ip -4 addr show dev eth9; ip -4 route; ip -4 rule")
        return "192.0.2.100/32" in said, "10.244.1.0/24 via 192.0.2.12" in said, "from 10.9.0.0/16" in said


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Managed]:
    with own_net.own_net(Managed, tmp_path) as made:
        made.prepare()
        yield made


@needs_root
@pytest.mark.parametrize("told", [False, True], ids=["as it is", "told"])
def test_a_restart_takes_nothing_that_is_ours(net: Managed, told: bool) -> None:
    running = net.start()
    net.sh("ip addr add 192.0.2.100/32 dev eth9; ip route add 10.244.1.0/24 via 192.0.2.12 proto 109")
    net.sh("ip rule add from 10.9.0.0/16 lookup 100 priority 500")
    net.put("/run/systemd/network/20-wide.network", WIDE)
    net.sh("ip link add veth7 type veth peer name veth8; ip link set veth7 up; ip link set veth8 up")
    found = net.facts()
    assert found.networkd == (("eth9", "/run/systemd/network/10-eth9.network", ""),)
    for path, text in files(found).items() if told else ():
        net.put(path, text)
    net.restart(running)
    assert net.within(10, lambda: net.has() == ((True,) * 3 if told else (False,) * 3)), net.has()
    pods = "ip -4 addr show dev veth7"
    assert net.within(5, lambda: ("198.51.100.7" in net.sh(pods)) is not told)
    if told:
        assert "192.0.2.11/24" in net.sh("ip -4 addr show dev eth9"), "its own things are networkd's to set as before"
        assert "default via 192.0.2.1 " in net.sh("ip -4 route")
        assert found.networkd[0] in net.facts().networkd, "ours is not what the host's own files say"


def test_what_a_site_keeps_is_kept_on() -> None:
    def keep(said: str, link: str = "eth9", **endpoint: str) -> str:
        found = HostFacts(interface="eth9", networkd=((link, "/etc/systemd/network/a.network", said),))
        return files(found, endpoint={"vip": "192.0.2.100", "port": 8443, **endpoint}).get(
            "/etc/systemd/network/a.network.d/zz-quorate.conf", ""
        )

    for said, wanted in (("", "static"), ("no", "static"), ("static", "static"), ("dhcp", "yes"), ("yes", "yes")):
        assert keep(said) == f"[Network]\nKeepConfiguration={wanted}\n"
    assert keep("", "eth1") == "", "links that carry nothing of ours are none of our business"
    assert "static" in keep("", "eth1", interface="eth1")


def test_where_no_manager_runs_there_are_no_files() -> None:
    assert files(HostFacts()) == {}


def test_network_manager_leaves_pods_links_alone() -> None:
    given = context(HostFacts(network_manager=True))
    found = list(links.links(given, given.cluster.hosts[0]))
    [keyfile] = [resource for resource in found if isinstance(resource, File)]
    assert keyfile.path == links.KEYFILE
    assert "interface-name:cni0;interface-name:veth*" in keyfile.content
    [setting] = [resource for resource in found if isinstance(resource, Setting)]
    assert "reload NetworkManager" in setting.script


def test_facts_say_which_file_a_link_has() -> None:
    said = facts.parse(
        "networkd=eth0 /run/systemd/network/10-netplan-eth0.network static\nnetworkd=eth1 /a b.network \n"
    )
    assert said.networkd == (
        ("eth0", "/run/systemd/network/10-netplan-eth0.network", "static"),
        ("eth1", "/a b.network", ""),
    )
    assert facts.parse("network_manager=yes").network_manager
