"""The virtual IP is taken away while keepalived holds it: the watch beside it, with the real ip."""

from collections.abc import Iterator
from pathlib import Path

import own_net
import pytest
from own_net import Net, needs_root

from quorate.component import virtual_ip
from quorate.component.context import Context
from quorate.execute.survey import units
from quorate.render import address
from quorate.render.keepalived import NAMED
from quorate.resource.file import File
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import KEEPALIVED_CONF
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

VIP = "10.0.0.200"


def resources() -> tuple[Cluster, list[object]]:
    hosts = [{"name": "m", "address": "10.0.0.1", "roles": ["control-plane", "etcd", "load-balancer"]}]
    cluster = Cluster.model_validate({"name": "c", "hosts": hosts, "endpoint": {"vip": VIP, "port": 8443}})
    known = Facts({"m": HostFacts(interface="e0", prefix=24)})
    context = Context(cluster, known, Supply(), Secrets({}, {}), table("1.36"))
    return cluster, list(virtual_ip.resources(context, cluster.hosts[0]))


class Held(Net):
    """A namespace in which this host's keepalived is MASTER, as far as addresses tell."""

    def prepare(self) -> None:
        _, found = resources()
        files = {resource.path: resource.content for resource in found if isinstance(resource, File)}
        (self.folder / "conf").write_text(files[KEEPALIVED_CONF])
        text = files[virtual_ip.ADDRESS].replace(KEEPALIVED_CONF, f"{self.folder}/conf")
        (self.folder / "address").write_text(text.replace(f"sleep {address.LOOK_S}", "sleep 0.1"))
        self.sh("ip link set lo up; ip link add e0 type veth peer name e1; ip link set e0 up; ip link set e1 up")
        self.sh("ip addr add 10.0.0.1/24 dev e0")

    def has(self, what: str = VIP) -> bool:
        return f" {what}/" in self.sh("ip -4 -o addr show")


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Held]:
    with own_net.own_net(Held, tmp_path) as made:
        made.prepare()
        yield made


@needs_root
@pytest.mark.parametrize("harm", [f"ip addr del {VIP}", "ip addr flush dev e0; ip addr add 10.0.0.1/24 dev e0"])
def test_the_holder_puts_it_back(net: Held, harm: str) -> None:
    net.sh(f"ip addr add {NAMED}/32 dev lo; ip addr add {VIP}/32 dev e0")
    before = net.sh("ip -4 -br addr show dev e0").split()[2:]
    service = net.begin("/bin/sh", str(net.folder / "address"))
    net.sh(harm.replace(f"del {VIP}", f"del {VIP}/32 dev e0"))
    assert net.within(20, net.has)
    assert sorted(net.sh("ip -4 -br addr show dev e0").split()[2:]) == sorted(before)
    assert service.poll() is None
    assert "is put back" in net.end(service)


@needs_root
def test_who_does_not_hold_it_gets_none(net: Held) -> None:
    service = net.begin("/bin/sh", str(net.folder / "address"))
    assert not net.within(1, net.has)
    net.sh(f"ip addr add {NAMED}/32 dev lo")
    assert net.within(20, net.has)
    net.sh(f"ip addr del {NAMED}/32 dev lo; ip -4 addr flush dev e0")
    assert not net.within(1, net.has), "who has yielded does not take it again"
    net.end(service)


@needs_root
def test_one_that_yields_meanwhile_keeps_none(net: Held) -> None:
    """keepalived takes its mark away, then the address: what was put back between goes at once."""
    real = net.sh("command -v ip").strip()
    mine = net.folder / "ip"
    mine.write_text(
        f'#!/bin/sh\n{real} "$@"; c=$?\n'
        f'case "$*" in "address add "*) {real} addr del {NAMED}/32 dev lo;; esac\nexit $c\n'
    )
    mine.chmod(0o755)
    script = net.folder / "address"
    script.write_text(script.read_text().replace("PATH=", f"PATH={net.folder}:", 1))
    net.sh(f"ip addr add {NAMED}/32 dev lo")
    service = net.begin("/bin/sh", str(script))
    assert net.within(20, lambda: not net.has(NAMED))
    assert net.within(5, lambda: not net.has())
    assert "put back" not in net.end(service)


def test_every_holder_of_a_virtual_ip_has_the_watch() -> None:
    cluster, found = resources()
    assert "quorate-address.service" in {resource.unit for resource in found if isinstance(resource, Unit)}
    assert "quorate-address.service" in units(cluster, cluster.hosts[0])
