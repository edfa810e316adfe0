"""What is wrong with a cluster, from what its hosts say."""

from datetime import UTC, datetime

import pytest
from drill_world import VIP, Hosts, cluster, failing

from quorate.core import TransportError
from quorate.execute.health import judge, trouble
from quorate.execute.survey import View


async def test_a_healthy_cluster_is_asked_for_no_more_than_that_takes() -> None:
    hosts = Hosts(cluster())
    assert await trouble(hosts.cluster, hosts) == ""
    assert len(hosts.log) == len(hosts.cluster.hosts)
    assert not any("BEGIN CERTIFICATE" in script for _, script in hosts.log)


async def test_silent_services_are_named() -> None:
    hosts = Hosts(cluster())
    hosts.sick = "kubelet.service"
    assert await trouble(hosts.cluster, hosts) == "kubelet on w1 is silent; kubelet on w2 is silent"


@pytest.mark.parametrize(("b1", "b2", "count"), [(True, True, 2), (False, False, 0)])
async def test_the_virtual_ip_has_one_owner(b1: bool, b2: bool, count: int) -> None:
    hosts = Hosts(cluster())
    mine = {"b1": b1, "b2": b2}

    async def run(host: str, script: str, **more: object) -> str:
        text = await Hosts.run(hosts, host, script, **more)  # type: ignore[arg-type]
        held = f"2: eth0    inet {VIP}/24 scope global\n"
        return (
            text.replace(held, "").replace("scope global\n", f"scope global\n{held}")
            if mine.get(host)
            else (text.replace(held, ""))
        )

    hosts.run = run  # type: ignore[method-assign]
    assert await trouble(hosts.cluster, hosts) == f"{count} hosts hold the virtual IP"


async def test_hosts_that_do_not_answer_are_told_and_nothing_is_raised() -> None:
    hosts = Hosts(cluster())

    def refuse(host: str, _script: str) -> None:
        if host == "m1":
            raise TransportError("no route", host="m1")
        if host == "w1":
            raise failing("w1", 1, "no shell")

    hosts.refuse = refuse
    assert set((await trouble(hosts.cluster, hosts)).split("; ")) == {
        "m1: no route",
        "w1: w1: command failed (exit 1) no shell",
    }


def test_a_balancer_that_does_not_use_all_api_servers_is_named() -> None:
    view = View(datetime.now(UTC), left_out=("10.0.9.1:6443",))
    assert judge(cluster(), {"b1": view}, {}) == "the balancer on b1 leaves out 10.0.9.1:6443"
