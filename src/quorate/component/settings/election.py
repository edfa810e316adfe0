"""Leader election of controller-manager and scheduler: how soon a standby takes over, and how a leader steps down."""

from quorate.render.sh import sh
from quorate.render.systemd import Exec
from quorate.spec import layout

LEASE_DURATION = "4s"
"""A standby waits this long after the last renewal it saw, and looks again after at most 2.2 retries (client-go's
JitterFactor 1.2): a crashed leader is replaced within 4.7 s. Upstream's 15/10/2 s: 15 to 19 s."""
RENEW_DEADLINE = "3s"
"""The leader gives up, and ends, after this long without a renewal. It must be below the lease, and exceed an etcd
election (1 s at 50/500 ms), else leaders end at every one. A renewal that is being written when etcd's leader dies
is lost with it, and etcd says so only after 6 s (5 s and two elections): client-go cuts it off at half of this, but that
of 1.20 at all of it. There a leader may end then; the standby takes over as after a crash."""
RETRY_PERIOD = "300ms"
"""A lease that was given up is seen after at most 2.2 of these, 0.7 s, and giving it up takes 0.3 s: a second in all.
Costs etcd 3 small writes a second for each of the two leaders, and each standby as many reads."""

_PATIENCE = 2
"""Seconds that stepping down may take; kubectl needs 0.1 to 0.3 for each of its two requests."""


def step_down(name: str) -> Exec:
    """What a unit runs when its leader has ended in order: the lease is given up, and a standby has it in a second.

    The scheduler does that itself since 1.22 (kubernetes pull request 100305), the controller-manager does not: it
    would have to be sure that all its loops have ended (94509). systemd is: these commands run when the process is
    gone. Not after a crash: whatever killed a leader then does not go from master to master at once.
    `SERVICE_RESULT` is `success` for a stop or restart (SIGTERM), and `signal`, `exit-code` and so on otherwise.

    The lease is replaced as it was read, without its holder; with its `resourceVersion`, so that the API server refuses
    it when another leader wrote in between. Replaced, not patched: RBAC lets both components get and update their own
    lease, no more. It holds nothing up: whatever goes wrong, the lease runs out by itself.
    """
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}"
    kubectl = sh(f"{layout.BIN}/kubectl", "--kubeconfig", layout.kubeconfig(name))
    script = (
        # Holders are named `<host name>_<uuid>`.
        '[ "$SERVICE_RESULT" = success ] || exit 0; read -r me </proc/sys/kernel/hostname; '
        f"lease=$({kubectl} {sh('get', '--raw', path)}) || exit 0; "
        'case $lease in *\'"holderIdentity":"\'"$me"_*) ;; *) exit 0;; esac; '
        'printf \'%s\\n\' "$lease" | sed \'s/"holderIdentity":"[^"]*"/"holderIdentity":""/\' | '
        f"{kubectl} {sh('replace', '--raw', path, '-f', '-')} >/dev/null"
    )
    return Exec(("/usr/bin/timeout", str(_PATIENCE), "/bin/sh", "-c", script), optional=True)
