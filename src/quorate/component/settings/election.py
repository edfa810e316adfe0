"""Leader election of controller-manager and scheduler: how soon a standby takes over."""

LEASE_DURATION = "6s"
"""A standby waits this long after the last renewal it saw; with the retry, takeover comes within about 8.2 s
(upstream's 15/10/2 s: 15 to 19 s). Source: performance reference 2.1."""
RENEW_DEADLINE = "4s"
"""The leader gives up after this long without a renewal; must exceed an etcd election (1 s at 50/500 ms)
and the retry of a stalled request, else the leader exits at every failover."""
RETRY_PERIOD = "1s"
