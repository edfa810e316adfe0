"""The cluster's clocks: by profile, by the file's own numbers, and wherever they are used."""

from dataclasses import fields
from ipaddress import IPv4Address

import pytest

from quorate.component import etcd
from quorate.component.settings import client, controller_manager, election, scheduler
from quorate.spec import timing as clocks
from quorate.spec.cluster import Cluster, Etcd, Host, LoadBalancer, Network, Role
from quorate.spec.rules import timing as rules
from quorate.spec.timing import timing
from quorate.spec.versions import table


def cluster(profile: str, **sections: object) -> Cluster:
    host = Host(name="a", address=IPv4Address("10.0.0.1"), roles=(Role.CONTROL_PLANE, Role.ETCD))
    return Cluster(name="c", hosts=(host,), network=Network(profile=profile), **sections)  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", ["lan", "wan"])
def test_each_profile_obeys_every_rule(profile: str) -> None:
    c = cluster(profile)
    away = Host(name="b", address=IPv4Address("10.0.0.2"), roles=(Role.CONTROL_PLANE,))
    c = c.model_copy(update={"hosts": (*c.hosts, away)})
    assert [fault for rule in rules.RULES for fault in rule.check(c)] == []
    found = timing(c)
    # client-go's own conditions.
    assert found.lease_ms > found.renew_ms > 1.2 * found.retry_ms


def test_nothing_is_quicker_in_a_wan() -> None:
    lan, wan = timing(cluster("lan")), timing(cluster("wan"))
    for field in fields(lan):
        assert getattr(lan, field.name) < getattr(wan, field.name), field.name


def test_numbers_of_the_file_win() -> None:
    own = {"etcd": Etcd(heartbeat_ms=70, election_ms=700), "load_balancer": LoadBalancer(advert_interval=0.2)}
    found = timing(cluster("wan", **own))
    assert (found.heartbeat_ms, found.election_ms, found.advert_interval) == (70, 700, 0.2)
    assert found.connect_timeout_ms == clocks.CONNECT_TIMEOUT_MS["wan"]


@pytest.mark.parametrize(
    ("profile", "lease", "beats", "silence"),
    [
        ("lan", ("4s", "3s", "200ms"), ("50", "500"), ("5", "3")),
        ("wan", ("15s", "10s", "2s"), ("250", "2500"), ("15", "5")),
    ],
)
def test_they_are_where_they_are_used(
    profile: str, lease: tuple[str, ...], beats: tuple[str, ...], silence: tuple[str, ...]
) -> None:
    c, minor = cluster(profile), table("1.20")
    assert election.durations(c) == lease
    flags = controller_manager.flags(c, minor)
    assert (
        tuple(flags[f"leader-elect-{name}"] for name in ("lease-duration", "renew-deadline", "retry-period")) == lease
    )
    chosen = scheduler.config(c, minor)["leaderElection"]
    assert tuple(chosen[name] for name in ("leaseDuration", "renewDeadline", "retryPeriod")) == lease  # type: ignore[index]
    own = etcd.flags(c, c.hosts[0])
    assert (own["heartbeat-interval"], own["election-timeout"]) == beats
    assert tuple(client.environment(c).values()) == silence
