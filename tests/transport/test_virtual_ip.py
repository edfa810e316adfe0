"""The virtual IP on real interfaces, held by real keepalived with the configuration that balancers get."""

import re
import signal
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from own_net import needs_root
from segment import Node, Segment, context, files, segment, settings
from waiting import within

from quorate.component import virtual_ip
from quorate.component.context import Context
from quorate.spec.facts import Address, HostFacts
from quorate.spec.layout import KEEPALIVED_CONF

VIP = "10.77.1.100"
OTHER = "10.88.20.100"
RENEWED = "ip address del {0}/24 dev eth0; ip address add {0}/24 dev eth0"
"""What a DHCP client does that begins anew, and whoever restarts a connection."""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Segment]:
    with segment(tmp_path, "m1", "m2") as made:
        yield made


def conf(given: Context, name: str) -> str:
    return files(given, name)[KEEPALIVED_CONF]


def bare(node: Node) -> set[str]:
    return {each.partition("/")[0] for each in node.addresses()}


@needs_root
def test_a_failover_after_a_renewal_leaves_the_host_its_own_address(net: Segment) -> None:
    m1, m2 = net.nodes.values()
    given = context()
    for node in (m1, m2):
        node.keepalived(conf(given, node.name))
        # One after the other, so that the test knows who holds it.
        assert within(20, lambda: VIP in bare(m1))
    m1.sh(RENEWED.format(m1.ip))
    assert bare(m1) == {m1.ip, VIP}, "the virtual IP stays"
    # With a moment between the two the other order is certain: what is added last would be the secondary one.
    m1.sh(f"ip address del {m1.ip}/24 dev eth0")
    assert within(20, lambda: VIP in bare(m1))
    m1.sh(f"ip address add {m1.ip}/24 dev eth0")
    m1.running[0].terminate()
    assert within(20, lambda: VIP in bare(m2))
    assert m1.addresses() == {f"{m1.ip}/24"}


@needs_root
@pytest.mark.parametrize("renewed", [False, True])
def test_a_running_cluster_moves_to_it_without_letting_go(net: Segment, renewed: bool) -> None:
    """Also the holder whose own address has become the secondary one of the virtual IP of before."""
    m1 = net.nodes["m1"]
    given = context()
    new = conf(given, "m1")
    service = m1.keepalived(new.replace(f"{VIP}/32", f"{VIP}/24"))
    assert within(20, lambda: f"{VIP}/24" in m1.addresses())
    if renewed:
        # Without the pause keepalived would add the virtual IP after the address once more.
        m1.sh(f"ip address del {m1.ip}/24 dev eth0")
        assert within(20, lambda: f"{VIP}/24" in m1.addresses())
        m1.sh(f"ip address add {m1.ip}/24 dev eth0")
        assert f"{m1.ip}/24 scope global secondary" in m1.sh("ip -4 -o address")
    m1.sh(settings(given, "m1"))
    before = m1.said().count("STATE")
    m1.configure(new)
    service.send_signal(signal.SIGHUP)
    assert within(20, lambda: f"{VIP}/32" in m1.addresses())
    assert m1.addresses() == {f"{m1.ip}/24", f"{VIP}/32"}
    assert m1.said().count("STATE") == before, "it stayed the holder"
    assert f"10.77.1.0/24 dev eth0 proto kernel scope link src {m1.ip}" in m1.sh("ip route")


def on_two_nics(number: int, *more: str) -> HostFacts:
    given = [Address("eth0", IPv4Interface(f"10.77.1.{number}/24"))]
    return HostFacts(addresses=(*given, *(Address("eth1", IPv4Interface(each)) for each in more)))


@needs_root
@pytest.mark.parametrize("addressed", [False, True])
def test_the_virtual_ip_is_on_the_nic_that_the_file_names_and_adverts_on_that_of_the_address(
    net: Segment, addressed: bool
) -> None:
    """With strict reverse paths, where adverts that go by the wrong NIC never arrive."""
    found = {}
    for node in net.nodes.values():
        own = f"10.88.20.{node.number}/24" if addressed else ""
        net.cable(node.name, "eth1", own)
        node.sh("for f in all default eth0 eth1; do echo 1 >/proc/sys/net/ipv4/conf/$f/rp_filter; done")
        found[node.name] = on_two_nics(node.number, *([own] if own else []))
    endpoint = {"vip": OTHER, "port": 8443, "interface": "eth1", "prefix": 24}
    # So seldom that a busy machine loses no three.
    given = context(found, endpoint=endpoint, load_balancer={"advert_interval": 1})
    held = f"{OTHER}/{32 if addressed else 24}"
    m1, m2 = net.nodes.values()
    m1.keepalived(conf(given, "m1"))
    assert within(20, lambda: held in m1.on("eth1"))
    m2.keepalived(conf(given, "m2"))
    assert within(20, lambda: "Entering BACKUP STATE" in m2.said())
    # Three adverts and more.
    assert not within(5, lambda: "Entering MASTER STATE" in m2.said())
    assert (m1.on("eth0"), m2.on("eth0")) == ({f"{m1.ip}/24"}, {f"{m2.ip}/24"})
    m1.sh("ip link set eth1 down")
    assert within(20, lambda: held in m2.on("eth1")), "who has lost that NIC's link yields"
    assert held not in m1.on("eth1")


@needs_root
def test_a_balancer_without_others_listens_to_nobody(net: Segment) -> None:
    """Another cluster's only one, of a version that multicast, has the same number and a higher priority."""
    m1, m2 = net.nodes.values()
    given = context(lone=True)
    text = conf(given, "m1")
    m1.keepalived(text)
    assert within(20, lambda: f"{VIP}/32" in m1.addresses())
    foreign = re.sub(r"unicast_src_ip[^}]*\}", "", text)
    m2.keepalived(foreign.replace("priority 250", "priority 254").replace(VIP, "10.77.1.101"))
    assert within(20, lambda: "10.77.1.101/32" in m2.addresses())
    assert not within(2, lambda: f"{VIP}/32" not in m1.addresses())


@needs_root
def test_whatever_a_killed_keepalived_left_is_taken_away(net: Segment, tmp_path: Path) -> None:
    m1 = net.nodes["m1"]
    net.cable("m1", "eth1")
    m1.sh(f"ip address add {VIP}/24 dev eth0; ip address add {VIP}/32 dev eth1")
    script = tmp_path / "drop"
    script.write_text(files(context(), "m1")[virtual_ip.DROP])
    m1.sh(f"sh {script}; sh {script}")
    assert m1.addresses() == {f"{m1.ip}/24"}
