"""The clocks of the cluster: by `network.profile`, unless the file has a number of its own.

`lan` is for hosts in one segment: round trips of up to a few milliseconds. `wan` assumes 50 ms and 1 % of packets lost,
as between sites. Whoever has to be noticed as dead is noticed later in `wan`, and who is only slow is left in peace.
Each clock below has both values side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from quorate.spec.cluster import Cluster

N = TypeVar("N", int, float)

ROUND_TRIP_MS: Mapping[str, int] = {"lan": 1, "wan": 50}
"""What a profile takes for the longest usual round trip; rules measure numbers of the file's own by it."""

ADVERT_INTERVAL: Mapping[str, float] = {"lan": 0.1, "wan": 1.0}
"""Seconds between VRRP advertisements; a backup waits for three (RFC 9568, 6.1): 0.3 s and 3 s. Both lose three in a
row once in a million at 1 % loss, but ten a second do that each day and a half, and jitter adds to it."""

CONNECT_TIMEOUT_MS: Mapping[str, int] = {"lan": 250, "wan": 1000}
"""Milliseconds for a connection of a balancer, and between the checks of the way to etcd. A connection and TLS take
three round trips; a dead host costs a new connection this long. TCP repeats a lost first packet after a second: in a
LAN another server is quicker, in a WAN waiting for it is not worth it either."""

HEARTBEAT_MS: Mapping[str, int] = {"lan": 50, "wan": 250}
"""Milliseconds between the heartbeats of etcd's leader: at least the longest round trip (etcd's tuning guide), and in a
WAN a lost packet's repetition (200 ms and more) on top of it."""

ELECTION_MS: Mapping[str, int] = {"lan": 500, "wan": 2500}
"""Milliseconds without one until a member stands for election: at least 10 round trips (the same guide), 10 heartbeats
here. An election takes one to two of these."""

LEASE_MS: Mapping[str, int] = {"lan": 4000, "wan": 15000}
"""Milliseconds that a standby of controller-manager and scheduler waits after the last renewal it saw. It looks again
after at most 2.2 retries (client-go's JitterFactor 1.2): a crashed leader is replaced within 4.5 s and 19.4 s; the
latter is upstream's."""

RENEW_MS: Mapping[str, int] = {"lan": 3000, "wan": 10000}
"""Milliseconds without a renewal until the leader gives up, and ends. It must be below the lease, and exceed an etcd
election, else leaders end at every one. A renewal that is being written when etcd's leader dies is lost with it, and
etcd says so only after 5 s and two elections: client-go cuts it off at half of this, but that of 1.20 at all of it.
There, in a LAN, a leader may end then; the standby takes over as after a crash."""

RETRY_MS: Mapping[str, int] = {"lan": 200, "wan": 2000}
"""Milliseconds between two looks or renewals. A lease that was given up is seen after at most 2.2 of these, in a LAN
0.5 s, and giving it up takes 0.3 s: within a second. Costs etcd 5 small writes a second for each of the two leaders,
and each standby as many reads."""

HTTP2_IDLE_S: Mapping[str, int] = {"lan": 5, "wan": 15}
"""Seconds of silence on a kubelet's or kube-proxy's connection to the API until it is asked for a sign of life."""
HTTP2_PING_S: Mapping[str, int] = {"lan": 3, "wan": 5}
"""Seconds for that sign: a dead connection is noticed after 8 s and 20 s instead of client-go's 45 s (30 + 15), or its
15 min before 2020. Ping and answer may be lost and come again within a second or two, so 5 s is plenty in a WAN."""


@dataclass(frozen=True)
class Timing:
    """All clocks of one cluster; the constants of the same names say what each is."""

    round_trip_ms: int
    advert_interval: float
    connect_timeout_ms: int
    heartbeat_ms: int
    election_ms: int
    lease_ms: int
    renew_ms: int
    retry_ms: int
    http2_idle_s: int
    http2_ping_s: int


def timing(c: Cluster) -> Timing:
    """The cluster's clocks: those that the file names, the others by its profile."""
    profile, balancer, etcd = c.network.profile, c.load_balancer, c.etcd
    return Timing(
        round_trip_ms=ROUND_TRIP_MS[profile],
        advert_interval=_own(balancer.advert_interval, ADVERT_INTERVAL[profile]),
        connect_timeout_ms=_own(balancer.connect_timeout_ms, CONNECT_TIMEOUT_MS[profile]),
        heartbeat_ms=_own(etcd.heartbeat_ms, HEARTBEAT_MS[profile]),
        election_ms=_own(etcd.election_ms, ELECTION_MS[profile]),
        lease_ms=LEASE_MS[profile],
        renew_ms=RENEW_MS[profile],
        retry_ms=RETRY_MS[profile],
        http2_idle_s=HTTP2_IDLE_S[profile],
        http2_ping_s=HTTP2_PING_S[profile],
    )


def _own(given: N | None, usual: N) -> N:
    return usual if given is None else given
