"""Leader election of controller-manager and scheduler: how soon a standby takes over, and how a leader steps down."""

from quorate.render.sh import quote, sh
from quorate.render.systemd import Exec
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Cluster
from quorate.spec.timing import timing

_PATIENCE = 2
"""Seconds that stepping down may take, its two requests included."""


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
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}?pretty=false"
    own = quote(layout.kubeconfig(name))
    ask = sh("curl", "-sf", "--noproxy", "*", "--cacert", pki_files.CA)
    lines = (
        '[ "$SERVICE_RESULT" = success ] || exit 0',
        # curl, which reads keys from files alone: kubectl takes 0.1 to 0.3 s of a busy CPU for each request.
        f"umask 077; d=$(mktemp -d {layout.LOADED}/lease.XXXXXX) || exit 0",
        "trap 'rm -rf \"$d\"' EXIT; trap exit HUP TERM",
        f'of() {{ sed -n "s/^ *$1: *//p" {own} | tr -d \'"\'; }}',
        'for pem in certificate key; do of "client-$pem-data" | base64 -d >"$d/$pem"; done',
        f'ask() {{ {ask} --cert "$d/certificate" --key "$d/key" "$@" "$(of server)"{quote(path)}; }}',
        "lease=$(ask) || exit 0; read -r me </proc/sys/kernel/hostname",
        # Holders are named `<host name>_<uuid>`.
        'case $lease in *\'"holderIdentity":"\'"$me"_*) ;; *) exit 0;; esac',
        'printf \'%s\\n\' "$lease" | sed \'s/"holderIdentity":"[^"]*"/"holderIdentity":""/\' | '
        "ask -o /dev/null -X PUT -H 'Content-Type: application/json' --data-binary @-",
    )
    return Exec(("/usr/bin/timeout", str(_PATIENCE), "/bin/sh", "-c", "; ".join(lines)), optional=True)
