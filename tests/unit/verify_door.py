"""A small cluster for `verify`, and a door to its hosts that is scripted and notes what it is asked."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from quorate.core import Blob
from quorate.spec.cluster import Cluster, Endpoint, Host, LoadBalancer, Role
from quorate.verify import api, check, metrics, runner, traffic, vip
from quorate.verify.env import Env


def cluster(vip: str | None = "10.0.9.100", kind: str = "nginx") -> Cluster:
    def host(name: str, number: int, *roles: Role) -> Host:
        return Host(name=name, address=IPv4Address(f"10.0.9.{number}"), roles=roles)

    balancers = (host("b1", 5, Role.LOAD_BALANCER), host("b2", 6, Role.LOAD_BALANCER)) if vip else ()
    hosts = (
        host("m1", 1, Role.CONTROL_PLANE, Role.ETCD),
        host("w1", 3, Role.WORKER),
        host("w2", 4, Role.WORKER),
        *balancers,
    )
    return Cluster(
        name="c",
        hosts=hosts,
        endpoint=Endpoint(vip=IPv4Address(vip) if vip else None),
        load_balancer=LoadBalancer(kind=kind),  # type: ignore[arg-type]
    )


class Door:
    """A transport that notes every script and answers by a function."""

    def __init__(self, answer: Callable[[str, str], str] = lambda _host, _script: "") -> None:
        self.answer = answer
        self.scripts: list[tuple[str, str]] = []

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        self.scripts.append((host, script))
        await asyncio.sleep(0)
        return self.answer(host, script)

    async def close(self) -> None:
        return

    def sent(self, host: str, part: str) -> bool:
        return any(to == host and part in script for to, script in self.scripts)


def env(door: Door, c: Cluster | None = None) -> Env:
    return Env(c or cluster(), door, "quorate-verify-x")


@pytest.fixture
def nothing_is_asked_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_env: Env, _urls: list[str]) -> None:
        return None

    monkeypatch.setattr(traffic, "_from_here", none)
    monkeypatch.setattr(check, "NETWORK_SETTLES_S", 0.0)
    monkeypatch.setattr(runner, "SECOND_LOOK_AFTER_S", 0.0)
    monkeypatch.setattr(runner, "SECOND_LOOK_EXTRA_S", 0.0)
    monkeypatch.setattr(vip, "VIP_ARRIVES_S", 0.0)
    monkeypatch.setattr(metrics, "NUMBERS_COME_S", 0.0)
    monkeypatch.setattr(api, "SERVER_TAKEN_BACK_S", 0.0)
