"""Clusters as `verify` finds them while it stops services: the model with services that can be stopped."""

import asyncio
import itertools
import json
import re
from ipaddress import IPv4Address
from typing import Any

from verify_door import Door, cluster
from verify_model import Model

from quorate.execute import survey
from quorate.execute.outage import NOW
from quorate.spec.cluster import Cluster, Host, Role
from quorate.verify.master import LEASES


def three_masters() -> Cluster:
    """The small cluster with two more masters, each with a member of etcd."""
    roles = (Role.CONTROL_PLANE, Role.ETCD)
    more = [Host(name=f"m{n}", address=IPv4Address(f"10.0.9.{n + 10}"), roles=roles) for n in (2, 3)]
    first, *others = cluster().hosts
    return cluster().model_copy(update={"hosts": (first, *more, *others)})


class Drill(Model):
    """The model with services that can be stopped: the VIP goes to where the balancer runs."""

    def __init__(self, c: Cluster, *, stuck: bool = False) -> None:
        super().__init__(c)
        self.stopped: set[tuple[str, str]] = set()
        self.stuck = stuck

    def __call__(self, host: str, script: str) -> str:
        # Before it stands what the host's own timer would do.
        now = script.partition(f"echo {NOW}\n")[2] or script
        for word, act in (("stop", self.stopped.add), ("start", self.stopped.discard)):
            for unit in survey.units(self.cluster, self.cluster.host(host)):
                if re.search(rf"^systemctl {word} .*{unit}", now, re.M):
                    act((host, unit))
        text = super().__call__(host, script)
        if "ip -4 -o addr show to" in script:
            up = [each.name for each in self.cluster.balancers if (each.name, "nginx.service") not in self.stopped]
            holder = "b1" if self.stuck else up[0]
            return f"2: eth0    inet {self.cluster.endpoint.vip}/24 scope\n" if host == holder else ""
        return text


class Asking(Door):
    """Answers the sampler until it is told to end."""

    async def run(self, host: str, script: str, **more: Any) -> str:
        if (on_line := more.get("on_line")) is not None and "systemctl" not in script:
            for tick in itertools.count():
                on_line(f"{tick * 10**8} 200")
                await asyncio.sleep(0.001)
        return await super().run(host, script, **more)


class Etcd(Drill):
    """The same with an API that writes while most members run, m2's leading, and leases that move to a master whose
    API server runs."""

    back = "310\n"
    """What masters print of when their API server writes again."""
    lenient = False
    """Whether writes are confirmed in any case."""

    def members_up(self) -> int:
        return sum((member.name, "etcd.service") not in self.stopped for member in self.cluster.members)

    def __call__(self, host: str, script: str) -> str:
        text = super().__call__(host, script)
        if "answers()" in script:
            return self.back
        if "/leases" in script:
            leader = next(m for m in self.cluster.masters if (m.name, "kube-apiserver.service") not in self.stopped)
            held = [{"metadata": {"name": name}, "spec": {"holderIdentity": f"{leader.name}_1"}} for name in LEASES]
            return json.dumps({"items": held})
        if "/proc/sys/kernel/hostname" in script:
            return f"{host}\n"
        if "endpoint status" in script:
            return json.dumps([{"Status": {"leader": 2, "header": {"member_id": int(host[1:])}}}])
        if "create configmap" in script:
            return "acked\n" if self.lenient or 2 * self.members_up() > len(self.cluster.members) else "no\n"
        return "configmap/with-majority\n" if "get configmap" in script else text
