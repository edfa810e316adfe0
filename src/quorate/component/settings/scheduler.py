"""kube-scheduler's settings: few flags, and KubeSchedulerConfiguration."""

from quorate.component.settings import election, merged
from quorate.component.settings.controller_manager import delegation
from quorate.spec import flag_fields, layout
from quorate.spec.cluster import Cluster
from quorate.spec.versions import Minor

NAME = "kube-scheduler"
SECTION = "scheduler"
CONFIG = f"{layout.KUBERNETES}/{NAME}.yaml"
PORT = 10259
"""HTTPS on 127.0.0.1: /healthz, /metrics."""


def flags(c: Cluster) -> dict[str, str]:
    """Flags, without dashes, in the order in which they are written; the same on every master."""
    flags = {
        "config": CONFIG,
        **delegation(layout.kubeconfig(NAME)),
        # The configuration decides; the flag is for whoever audits the command line (CIS 1.4.1).
        "profiling": "false",
    }
    return merged.flags(flags, flag_fields.rest(SECTION, c.scheduler.extra_flags, c.versions.kubernetes))


def config(c: Cluster, minor: Minor) -> dict[str, object]:
    """KubeSchedulerConfiguration; its kubeconfig names the API server of its own host."""
    # Port 10251 stays, for `kubectl get componentstatuses` asks there, but on loopback only.
    plain = "127.0.0.1:10251"
    ports = {"healthzBindAddress": plain, "metricsBindAddress": plain} if minor.scheduler_plain_port else {}
    lease, renew, retry = election.durations(c)
    config = {
        "apiVersion": minor.scheduler_api,
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": layout.kubeconfig(NAME)},
        "leaderElection": {
            "leaderElect": True,
            "leaseDuration": lease,
            "renewDeadline": renew,
            "retryPeriod": retry,
        },
        "enableProfiling": False,
        **ports,
    }
    return merged.fields(config, flag_fields.given(SECTION, c.scheduler.extra_flags, c.versions.kubernetes))
