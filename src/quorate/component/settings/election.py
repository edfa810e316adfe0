"""Leader election of controller-manager and scheduler: how soon a standby takes over, and how a leader steps down."""

from quorate.render.sh import sh
from quorate.render.systemd import Exec
from quorate.spec import layout
from quorate.spec.cluster import Cluster
from quorate.spec.timing import timing

_PATIENCE = 2
"""Seconds that stepping down may take; kubectl needs 0.1 to 0.3 for each of its two requests."""


def durations(c: Cluster) -> tuple[str, str, str]:
    """Lease, renew deadline and retry period, in Go's form."""
    clocks = timing(c)
    return _go(clocks.lease_ms), _go(clocks.renew_ms), _go(clocks.retry_ms)


def _go(ms: int) -> str:
    return f"{ms}ms" if ms % 1000 else f"{ms // 1000}s"


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
    # It keeps a cache in all circumstances; a service has no home, so that would be in the root folder.
    cache = ("--cache-dir", f"{layout.LOADED}/kubectl")
    kubectl = sh(f"{layout.BIN}/kubectl", "--kubeconfig", layout.kubeconfig(name), *cache)
    script = (
        # Holders are named `<host name>_<uuid>`.
        '[ "$SERVICE_RESULT" = success ] || exit 0; read -r me </proc/sys/kernel/hostname; '
        f"lease=$({kubectl} {sh('get', '--raw', path)}) || exit 0; "
        'case $lease in *\'"holderIdentity":"\'"$me"_*) ;; *) exit 0;; esac; '
        'printf \'%s\\n\' "$lease" | sed \'s/"holderIdentity":"[^"]*"/"holderIdentity":""/\' | '
        f"{kubectl} {sh('replace', '--raw', path, '-f', '-')} >/dev/null"
    )
    return Exec(("/usr/bin/timeout", str(_PATIENCE), "/bin/sh", "-c", script), optional=True)
