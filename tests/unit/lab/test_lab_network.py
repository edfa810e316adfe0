"""The lab's network as values: gateways, overlaps, rules, names."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.lab import network
from quorate.lab.network import Taken
from quorate.lab.record import LabError, LabInfo
from quorate.lab.up import design
from quorate.spec.cluster import Cluster, Endpoint, Host, Role


def cluster(*addresses: str, vip: str | None = None) -> Cluster:
    hosts = tuple(Host(name=f"h{i}", address=IPv4Address(one), roles=(Role.WORKER,)) for i, one in enumerate(addresses))
    return Cluster(name="c", hosts=hosts, endpoint=Endpoint(vip=IPv4Address(vip) if vip else None))


def lab(*addresses: str, internet: bool = True) -> LabInfo:
    return design(cluster(*addresses), Path("/x/cluster.yaml"), Path("/cache/labs/c"), internet)


def found(one: Cluster) -> dict[str, str]:
    return {str(subnet): str(address) for subnet, address in network.gateways(one).items()}


def test_gateway_is_the_last_free_address() -> None:
    assert found(cluster("10.1.2.3")) == {"10.1.2.0/24": "10.1.2.254"}
    assert found(cluster("10.1.2.254", vip="10.1.2.253")) == {"10.1.2.0/24": "10.1.2.252"}


def test_each_subnet_has_a_gateway_the_vips_too() -> None:
    expected = {"10.1.2.0/24": "10.1.2.254", "10.1.3.0/24": "10.1.3.254", "10.9.9.0/24": "10.9.9.254"}
    assert found(cluster("10.1.3.3", "10.1.2.3", vip="10.9.9.9")) == expected


def test_a_full_subnet_is_refused() -> None:
    with pytest.raises(LabError, match="none is left"):
        network.gateways(cluster(*(f"10.1.2.{i}" for i in range(1, 255))))


WANTED = [IPv4Network("10.1.2.0/24")]


def test_overlap_names_what_has_the_addresses() -> None:
    taken = [Taken(IPv4Network("0.0.0.0/0"), "eth0"), Taken(IPv4Network("10.1.0.0/16"), "eth1")]
    with pytest.raises(LabError, match=r"10\.1\.0\.0/16 of this machine \(eth1\)"):
        network.refuse_overlap(WANTED, taken, {}, "qlown")
    with pytest.raises(LabError, match="of lab other"):
        network.refuse_overlap(WANTED, [Taken(IPv4Network("10.1.2.0/24"), "qlx")], {"qlx": "other"}, "qlown")


def test_no_overlap_with_itself_or_strangers() -> None:
    taken = [Taken(IPv4Network("10.1.2.0/24"), "qlown"), Taken(IPv4Network("10.1.3.0/24"), "eth0")]
    network.refuse_overlap(WANTED, taken, {}, "qlown")


def test_rules_are_ours_by_name() -> None:
    for internet in (True, False):
        one = lab("10.1.2.3", internet=internet)
        for rule in network.rules(one):
            assert f"quorate-lab-{one.id}" in rule
        assert any("MASQUERADE" in rule for rule in network.rules(one)) == internet


def test_what_is_meant_for_pods_and_services_stays_in_the_lab() -> None:
    """The rule is put before those that let packets out, so it has to come after them in this list."""
    one = lab("10.1.2.3")
    made = network.rules(one)
    out = made.index(
        next(rule for rule in made if rule[:4] == ["-I", "FORWARD", "-i", one.bridge] and "-d" not in rule)
    )
    for inner in ("10.244.0.0/16", "10.96.0.0/16"):
        (rule,) = (rule for rule in made if inner in rule)
        assert rule[-1] == "REJECT"
        assert made.index(rule) > out


def test_bridged_packets_keep_their_address() -> None:
    one = lab("10.1.2.3", "10.1.3.3")
    masquerade = [rule for rule in network.rules(one) if "MASQUERADE" in rule]
    assert len(masquerade) == 2
    assert all(rule[rule.index("!") + 1 :][:2] == ["-o", one.bridge] for rule in masquerade)


@given(st.text(min_size=1), st.text(min_size=1))
def test_hardware_addresses_are_local_and_single(name: str, host: str) -> None:
    parts = network.mac(name, host).split(":")
    assert len(parts) == 6
    assert int(parts[0], 16) & 0b11 == 0b10


def test_interface_names_fit() -> None:
    one = lab(*(f"10.{i // 200}.1.{i % 200 + 1}" for i in range(1000)))
    assert max(len(machine.cable) for machine in one.machines) <= 15
    assert len({machine.cable for machine in one.machines}) == 1000


def named(*names: str, old: LabInfo | None = None) -> LabInfo:
    hosts = tuple(
        Host(name=name, address=IPv4Address(f"10.1.2.{int(name[1:])}"), roles=(Role.WORKER,)) for name in names
    )
    return design(Cluster(name="c", hosts=hosts), Path("/x/cluster.yaml"), Path("/cache/labs/c"), old=old)


@pytest.mark.parametrize(
    "names", [("h1", "h9", "h2", "h3"), ("h3", "h1"), ("h2",), ("h8", "h3", "h9", "h1", "h7"), ("h4", "h5")]
)
def test_a_host_stays_the_same_machine_wherever_in_the_file_it_stands(names: tuple[str, ...]) -> None:
    before = named("h1", "h2", "h3")
    after = named(*names, old=before)
    stay = {machine for machine in after.machines if machine.name in {"h1", "h2", "h3"}}
    assert stay == {machine for machine in before.machines if machine.name in names}
    assert len({machine.cable for machine in after.machines}) == len(names)
    again = named(*reversed(names), old=after)
    assert set(again.machines) == set(after.machines)


def test_cables_of_hosts_that_left_are_used_again() -> None:
    lab = named("h0")
    for number in range(1, 1000):
        lab = named("h0", f"h{number % 200 + 1}", old=lab)
    assert sorted(machine.cable for machine in lab.machines) == [f"{lab.bridge}-0", f"{lab.bridge}-1"]
