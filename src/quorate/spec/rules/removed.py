"""Flags that a Kubernetes minor does not take any more: a daemon that gets one does not start.

Data: component -> flag (without dashes) -> the first minor without it, and what to do instead. Sources:
kubernetes/kubernetes pull requests 106907 (dockershim, 1.24), 112120 (klog, 1.26), 115840 (taint manager,
1.27). Only what people carry along from old clusters is here; the daemon itself knows the rest.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Removed(NamedTuple):
    """Since when a flag is gone."""

    minor: str
    fix: str


def _all(minor: str, fix: str, flags: str) -> dict[str, Removed]:
    return dict.fromkeys(flags.split(), Removed(minor, fix))


_KLOG = _all(
    "1.26",
    "remove it: logs go to the journal",
    "add-dir-header alsologtostderr log-backtrace-at log-dir log-file log-file-max-size logtostderr one-output "
    "skip-headers skip-log-headers stderrthreshold",
)
_DOCKERSHIM = _all(
    "1.24",
    "remove it: it was dockershim's",
    "docker-endpoint experimental-dockershim-root-directory image-pull-progress-deadline network-plugin-mtu "
    "cni-cache-dir",
)
_TAINTS = {
    "enable-taint-manager": Removed("1.27", "remove it: it is always on"),
    "pod-eviction-timeout": Removed(
        "1.27", "remove it; the API server's default-not-ready-toleration-seconds does it now"
    ),
}

REMOVED: Mapping[str, Mapping[str, Removed]] = {
    "apiserver": _KLOG,
    "controller_manager": {**_KLOG, **_TAINTS},
    "scheduler": _KLOG,
    "kubelet": {**_KLOG, **_DOCKERSHIM},
    "proxy": _KLOG,
}
"""By the name of the section in the cluster file."""
