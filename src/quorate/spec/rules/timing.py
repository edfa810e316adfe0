"""Rules about the cluster's clocks: numbers of the file's own fit the network, and one another."""

from collections.abc import Iterator

from quorate.spec.cluster import Cluster
from quorate.spec.rules.rule import rule
from quorate.spec.timing import timing
from quorate.spec.tree import Fault

ELECTION_FACTOR = 5
"""etcd refuses to start with an election timeout below five heartbeats."""
NODE_GRACE = 40
"""Seconds of silence after which a node counts as lost: kube-controller-manager's default up to 1.31, 50 after."""
LEAST_ROUND_TRIPS = {
    ("load_balancer", "advert_interval"): 2,
    ("load_balancer", "connect_timeout_ms"): 4,
    ("etcd", "heartbeat_ms"): 1,
    ("etcd", "election_ms"): 10,
}
"""Below these clocks the network's own time alone is a fault: jitter moves advertisements by a round trip; a connection
with TLS takes three; heartbeat and election are those of etcd's tuning guide."""
MOST_ELECTIONS = 3
"""An election takes up to two of its timeouts; with one more a renewal that was refused comes through before the leader
of a control loop gives up."""
CHECKS = 5
"""A silent member is found after one pause, three checks and two short pauses: below five connection timeouts."""


def advertisement(cluster: Cluster) -> Iterator[Fault]:
    """VRRP counts in hundredths of a second (RFC 9568, 5.2.7), and nodes outlive a dead balancer."""
    interval, where = timing(cluster).advert_interval, ("load_balancer", "advert_interval")
    if abs(interval * 100 - round(interval * 100)) > 1e-6:
        fix = f"write {max(1, round(interval * 100)) / 100:g}"
        yield Fault(where, "must be a multiple of 0.01 s: VRRP can't say less", fix)
    if 3 * interval >= NODE_GRACE:
        rule_ = (
            f"the virtual IP would be away for {3 * interval:g} s, and nodes are lost after {NODE_GRACE} s of silence"
        )
        yield Fault(where, rule_, "write at most 3; 1 is much for any network")


def network(cluster: Cluster) -> Iterator[Fault]:
    """No clock is quicker than the network of the profile."""
    clocks, profile = timing(cluster), cluster.network.profile
    for (section, field), times in LEAST_ROUND_TRIPS.items():
        milliseconds = 1000 if field == "advert_interval" else 1
        least, given = times * clocks.round_trip_ms, getattr(clocks, field)
        if given * milliseconds < least:
            rule_ = f"is below {least} ms, {times} round trips of {clocks.round_trip_ms} ms in the profile {profile}"
            fix = f"write at least {least / milliseconds:g}, leave it out, or write network.profile lan"
            yield Fault((section, field), rule_, fix)


def election(cluster: Cluster) -> Iterator[Fault]:
    """etcd's elections have time for heartbeats, and end before the leaders of control loops give up."""
    clocks = timing(cluster)
    beats, least = clocks.election_ms, ELECTION_FACTOR * clocks.heartbeat_ms
    if beats < least:
        field = "election_ms" if "election_ms" in cluster.etcd.model_fields_set else "heartbeat_ms"
        rule_ = f"election_ms {beats} is below {ELECTION_FACTOR} * heartbeat_ms {clocks.heartbeat_ms}"
        fix = f"write `etcd: {{election_ms: {2 * least}}}`: 10 heartbeats are usual, {ELECTION_FACTOR} the least"
        yield Fault(("etcd", field), rule_, fix)
    if MOST_ELECTIONS * beats > clocks.renew_ms:
        rule_ = (
            f"an election would take up to {2 * beats / 1000:g} s, and leaders of controller-manager and scheduler "
            f"give up after {clocks.renew_ms / 1000:g} s without a write"
        )
        other = "" if cluster.network.profile == "wan" else ", or network.profile wan for slow networks and disks"
        yield Fault(("etcd", "election_ms"), rule_, f"write at most {clocks.renew_ms // MOST_ELECTIONS}{other}")


def checks(cluster: Cluster) -> Iterator[Fault]:
    """A dead member of etcd is found before the leaders of control loops give up."""
    clocks = timing(cluster)
    if CHECKS * clocks.connect_timeout_ms > clocks.renew_ms:
        rule_ = (
            f"a dead member of etcd would be found after {CHECKS * clocks.connect_timeout_ms / 1000:g} s, and leaders "
            f"of controller-manager and scheduler give up after {clocks.renew_ms / 1000:g} s without a write"
        )
        fix = f"write at most {clocks.renew_ms // CHECKS}"
        yield Fault(("load_balancer", "connect_timeout_ms"), rule_, fix)


RULES = (
    rule("load_balancer network", advertisement),
    rule("load_balancer etcd network", network),
    rule("etcd network", election),
    rule("load_balancer network hosts", checks),
)
