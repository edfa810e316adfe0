"""Whether VRRP passes: the script of the balancers with real keepalived and real filters."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_net import needs_root
from programs import find
from segment import Node, Segment, context, segment
from waiting import within

from quorate.component import vrrp as part
from quorate.component.context import Context
from quorate.render import vrrp
from quorate.resource.system import Setting

ROUTER = 7


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Segment]:
    with segment(tmp_path, "m1", "m2", "r") as made:
        yield made


def begin(node: Node, late: float = 0, window: int = 60) -> subprocess.Popen[bytes]:
    text = vrrp.script(
        address=node.ip,
        interface="eth0",
        balancers=["10.77.1.11", "10.77.1.12"],
        router_id=ROUTER,
        window=window,
    ).replace("/usr/sbin/keepalived", find("keepalived")[0])
    return node.begin("/bin/sh", "-ec", f"sleep {late}\n{text}", log="found")


def found(net: Segment, late: float = 0, window: int = 60) -> tuple[list[str], list[str]]:
    """What both say that ask each other, the second one later."""
    m1, m2 = net.nodes["m1"], net.nodes["m2"]
    both = begin(m1, window=window), begin(m2, late, window)
    assert [each.wait(180) for each in both] == [0, 0]
    return m1.said("found").splitlines(), m2.said("found").splitlines()


@needs_root
def test_both_hear_each_other_also_when_one_begins_later_and_leave_nothing(net: Segment) -> None:
    assert found(net, late=3) == (["heard 10.77.1.12"], ["heard 10.77.1.11"])
    for node in net.nodes.values():
        assert "127.255" not in node.sh("ip address")


@needs_root
def test_the_direction_that_is_filtered_is_named(net: Segment) -> None:
    net.nodes["m2"].sh("iptables -A INPUT -p 112 -s 10.77.1.11 -j DROP")
    assert found(net, window=12) == (["heard 10.77.1.12"], ["silent 10.77.1.11"])


@needs_root
@pytest.mark.parametrize("version", [2, 3])
def test_another_router_with_the_number_is_heard_without_tcpdump(net: Segment, version: int) -> None:
    router = net.nodes["r"]
    router.keepalived(
        f"global_defs {{\n vrrp_version {version}\n}}\nvrrp_instance x {{\n state MASTER\n interface eth0\n "
        f"virtual_router_id {ROUTER}\n priority 100\n advert_int 1\n "
        "virtual_ipaddress {\n  10.77.1.50/24\n }\n}\n"
    )
    assert within(20, lambda: "10.77.1.50/24" in router.addresses())
    assert found(net) == (["heard 10.77.1.12", "foreign"], ["heard 10.77.1.11", "foreign"])


def resource(given: Context, name: str) -> Setting | None:
    found = [each for each in part.resources(given, given.cluster.host(name)) if isinstance(each, Setting)]
    assert len(found) < 2
    return found[0] if found and isinstance(found[0], Setting) else None


PRELUDE = """\
tell() { echo "told $*"; }
settle() { cat >"$3"; }
"""


@needs_root
@pytest.mark.parametrize("filtered", [False, True])
def test_what_a_host_does_about_it(net: Segment, filtered: bool, tmp_path: Path) -> None:
    """The order of the plan's step: the reason in words, and no note that all is well."""
    given = context()
    if filtered:
        net.nodes["m2"].sh("iptables -A INPUT -p 112 -j DROP")
    began = []
    for name in ("m1", "m2"):
        step = resource(given, name)
        assert step
        note = str(tmp_path / f"{name}-heard")
        text = step.script.replace(part.HEARD, note).replace("/usr/sbin/keepalived", find("keepalived")[0])
        began.append(net.nodes[name].begin("/bin/sh", "-ec", PRELUDE + text, log="done"))
    assert [each.wait(180) for each in began] == [0, 1 if filtered else 0]
    assert (tmp_path / "m1-heard").read_text() == "m2\n"
    assert (tmp_path / "m2-heard").exists() is not filtered
    if filtered:
        said = net.nodes["m2"].said("done")
        assert "no VRRP packet of m1 (10.77.1.11) arrives here on eth0: let IP protocol 112 pass" in said
