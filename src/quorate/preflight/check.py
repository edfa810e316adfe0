"""What a check is: a claim about a host, the questions that it needs answered, and a pure judge of the answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from quorate.component.context import Context
from quorate.operation import runtimes
from quorate.plan.step import Plan
from quorate.report.findings import Verdict
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.facts import HostFacts
from quorate.spec.ports import ANY, openings


@dataclass(frozen=True)
class Clock:
    """A host's clock against that of this machine, in seconds; ahead of it is positive."""

    offset: float
    doubt: float
    """Half of the time that the question and its answer took."""


@dataclass(frozen=True)
class World:
    """All that judges see, frozen: the cluster, the facts, the plan, and what the hosts answered."""

    context: Context
    machines: Mapping[str, str] = field(default_factory=dict)
    """The machine-id of each host as of the last apply."""
    plan: Plan | None = None
    """None when no plan could be made."""
    trouble: str = ""
    """Why not."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Hosts that do not answer, with the reason."""
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Answers by host and name of the question."""
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    later: tuple[Plan, ...] = ()
    """What further stages change."""
    begun: bool = False
    """What moves has begun to and goes on: what it may have caused itself keeps nobody from ending it."""

    @property
    def upgrades(self) -> bool:
        """Whether versions move, or the runtime does."""
        return bool(self.context.stops or runtimes.former(self.context))

    @property
    def cluster(self) -> Cluster:
        """The cluster file."""
        return self.context.cluster

    @property
    def there(self) -> tuple[Host, ...]:
        """The hosts that answer."""
        return tuple(host for host in self.cluster.hosts if host.name not in self.lost)

    def facts(self, host: Host) -> HostFacts:
        """What was asked before anything was compiled."""
        return self.context.of(host)

    def answer(self, host: Host, question: str) -> str:
        """A host's answer; empty when it gave none."""
        return self.answers.get(host.name, {}).get(question, "")

    def settled(self, host: Host) -> bool:
        """Whether the last applied file has the host, with all its roles, and the same machine still answers.

        What is asked to find out whether a host may come into the cluster is not asked there.
        """
        return host.name in self._settled

    @cached_property
    def _settled(self) -> frozenset[str]:
        established = self.context.established.hosts if self.context.established else ()
        before = {host.name: host for host in established if host.name not in self.context.replaced}
        return frozenset(
            host.name
            for host in self.cluster.hosts
            if (same := before.get(host.name))
            and (same.ip == host.ip and set(host.roles) <= set(same.roles))
            and (machine := self.machines.get(host.name))
            and machine == self.facts(host).machine_id
        )

    def comes(self, host: Host, *roles: Role) -> bool:
        """Whether the host is new here, and has one of the roles if any are named."""
        return not self.settled(host) and (not roles or any(host.has(role) for role in roles))

    @cached_property
    def needed_ports(self) -> Mapping[str, tuple[tuple[int, frozenset[str] | None], ...]]:
        """By address: the single TCP ports that others need there, and who (None: everybody)."""
        return {
            host.ip: tuple(
                (int(port), None if rule.sources == ANY else frozenset(rule.sources))
                for rule in openings(self.cluster, host)
                if rule.protocol == "tcp" and rule.purpose != "SSH"
                for port in rule.ports
                if port.isdigit()
            )
            for host in self.cluster.hosts
        }

    @property
    def vip_comes(self) -> bool:
        """Whether the virtual IP is none that the cluster holds already."""
        established, vip = self.context.established, self.cluster.endpoint.vip
        return vip is not None and (established is None or established.endpoint.vip != vip)


@dataclass(frozen=True)
class Question:
    """A piece of sh, by name; empty for a host that need not be asked. `late` ones wait for the second round."""

    name: str
    sh: Callable[[World, Host], str]
    late: bool = False


Judge = Callable[[World, Host], Verdict | None]
"""Pure. None when the check has no object on this host."""


@dataclass(frozen=True)
class Check:
    """One claim about the hosts, and how it is judged."""

    id: str
    title: str
    why: str
    """What goes wrong otherwise, or where the number comes from."""
    fix: str
    judge: Judge
    asks: tuple[Question, ...] = ()
    remote: bool = True
    """It is about a host that answers; the others are about hosts that may not."""
    upgrade: bool = False
    """It counts only where versions or the runtime move; where that goes on and has begun, what failed is a warning."""
