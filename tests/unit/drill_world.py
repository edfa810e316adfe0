"""A cluster in memory for `drill`: hosts that are broken and healed by its scripts, and an API that tells of them."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from api_in_memory import Api, Object
from verify_model import Model

from quorate.core import Blob, CommandFailed
from quorate.execute.outage import NOW
from quorate.spec.cluster import Cluster, Endpoint, Host, LoadBalancer, Role, Versions

VIP = "10.0.9.100"


def cluster(**changes: Any) -> Cluster:
    """Three masters with etcd, two workers, two balancers."""

    def host(name: str, number: int, *roles: Role) -> Host:
        return Host(name=name, address=IPv4Address(f"10.0.9.{number}"), roles=roles)

    hosts = (
        *(host(f"m{number}", number, Role.CONTROL_PLANE, Role.ETCD) for number in (1, 2, 3)),
        *(host(f"w{number}", 10 + number, Role.WORKER) for number in (1, 2)),
        *(host(f"b{number}", 20 + number, Role.LOAD_BALANCER) for number in (1, 2)),
    )
    given = {
        "name": "c",
        "hosts": hosts,
        "endpoint": Endpoint(vip=IPv4Address(VIP)),
        "load_balancer": LoadBalancer(kind="nginx"),
        "versions": Versions(kubernetes="1.20.2"),
    }
    return Cluster(**{**given, **changes})


class Hosts:
    """The door to them."""

    def __init__(self, c: Cluster) -> None:
        self.cluster = c
        self.broken: dict[str, str] = {}
        """Script that breaks, by guard."""
        self.healed: list[str] = []
        """Guards, in the order in which they were put away."""
        self.log: list[tuple[str, str]] = []
        self.sick = ""
        """A unit that does not answer any more, on every host."""
        self.refuse: Callable[[str, str], None] = lambda _host, _script: None
        """May raise for a host's script."""
        self.says: dict[str, str] = {}
        """Lines by a word of those scripts that break or heal."""
        self.hearing = False
        """Whether it is known what kubelets hear."""
        self.api_port = 0
        """Where each host's own balancer leads."""
        self.forwarded: list[tuple[str, int]] = []
        self.on_break: Callable[[str], None] = lambda _host: None
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._model = Model(c, lambda _host, _script, text: self._spoiled(text))

    def _spoiled(self, text: str) -> str:
        return text.replace(f"{self.sick} yes", f"{self.sick} no") if self.sick else text

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        self.log.append((host, script))
        self.refuse(host, script)
        for word, line in self.says.items():
            if word in script and "quorate-drill-" in script and on_line:
                on_line(line)
        if "echo alive" in script:
            assert on_line
            await self._watched(host, on_line)
        if found := re.search(r"--unit=(quorate-drill-\w+)", script):
            assert on_line
            await asyncio.sleep(0)
            self.broken[found[1]] = host
            on_line(NOW)
            self.on_break(host)
            return ""
        if found := re.search(r"systemctl stop (quorate-drill-\w+)\.timer", script):
            await asyncio.sleep(0.01)
            self.broken.pop(found[1], None)
            self.healed.append(found[1])
            return ""
        return self._model(host, script)

    async def _watched(self, host: str, on_line: Callable[[str], None]) -> None:
        self._listeners[host] = on_line
        one = self.cluster.host(host)
        on_line(f"name {host}")
        on_line(f"alive {time.monotonic() * 100:.0f}")
        if one in self.cluster.workers and self.hearing:
            self.heard(host)
        if one in self.cluster.balancers:
            on_line(f"vip {'yes' if one == self.cluster.balancers[0] else 'no'}")
        if one in self.cluster.members:
            on_line(f"etcd {1 + self.cluster.members.index(one)} 2")
        await asyncio.Event().wait()

    def heard(self, host: str) -> None:
        """Its kubelet hears the API right now."""
        self.tell(host, f"heard {time.monotonic() * 100:.0f}")

    def tell(self, host: str, line: str) -> None:
        """What the watch on a host sees."""
        self._listeners[host](line)

    @asynccontextmanager
    async def forward(self, host: str, port: int) -> AsyncIterator[int]:
        self.forwarded.append((host, port))
        yield self.api_port

    async def close(self) -> None:
        pass


class World(Api):
    """The API of that cluster: leases that are renewed with each look, nodes, pods."""

    def __init__(self, pki: Any, c: Cluster) -> None:
        super().__init__(pki)
        self.cluster = c
        self.holders = {"kube-controller-manager": "m1_a", "kube-scheduler": "m2_b"}
        self.unready: set[str] = set()
        self.pods: dict[str, Object] = {}
        self._renewals = itertools.count()

    def _do(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        match method, path.strip("/").split("/"):
            case "GET", [*_, "leases"]:
                now = f"{datetime.now(UTC).isoformat()} {next(self._renewals)}"
                return 200, {
                    "items": [
                        {"metadata": {"name": name}, "spec": {"holderIdentity": holder, "renewTime": now}}
                        for name, holder in self.holders.items()
                    ]
                }
            case "GET", ["api", "v1", "nodes"]:
                return 200, {"items": [self._node(host.name) for host in self.cluster.workers]}
            case "POST", [*_, "deployments"]:
                for number in range(body["spec"]["replicas"]):
                    node = self.cluster.workers[number % len(self.cluster.workers)].node
                    self.pods[f"uid-{number}"] = self.pod(f"stays-{number}", node)
                return 201, body
            case "GET", [*_, "pods"]:
                return 200, {
                    "items": [{**pod, "metadata": {**pod["metadata"], "uid": uid}} for uid, pod in self.pods.items()]
                }
        return super()._do(method, path, body)

    def _node(self, name: str) -> Object:
        status = "False" if name in self.unready else "True"
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}

    @staticmethod
    def pod(name: str, node: str, restarts: int = 0) -> Object:
        status = {"containerStatuses": [{"restartCount": restarts, "ready": True}]}
        return {"metadata": {"name": name}, "spec": {"nodeName": node}, "status": status}


def failing(host: str, code: int = 1, stderr: str = "no") -> CommandFailed:
    """What a host's script ends with."""
    return CommandFailed("command failed", host=host, code=code, stderr=stderr)
