"""Versions of Kubernetes' APIs that a minor does not serve any more, from 1.21 on.

Source: kubernetes.io, "Deprecated API Migration Guide". Objects of those with another version in their place are read
through that one; of the others nothing is left but bytes in etcd.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from quorate.spec.minor import parts


@dataclass(frozen=True)
class Removed:
    """A group and version of some resources, gone from a minor on."""

    at: str
    """The minor."""
    api: str
    resources: tuple[str, ...]
    instead: str = ""
    """The version that takes its place; empty where nothing does."""
    since: str = "1.20"
    """The minor that serves it first, of those that quorate knows."""
    own: bool = False
    """The control plane itself asks for it as long as it is served: requests prove nothing."""

    @property
    def group(self) -> str:
        """The group alone; empty for none."""
        return self.api.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version alone."""
        return self.api.rpartition("/")[2]


_HOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_REVIEWS = ("localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews")
_RBAC = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
_STORAGE = ("csidrivers", "csinodes", "storageclasses", "volumeattachments")
_FLOW, _FLOWS = "flowcontrol.apiserver.k8s.io", ("flowschemas", "prioritylevelconfigurations")
REMOVED = (
    Removed("1.22", "admissionregistration.k8s.io/v1beta1", _HOOKS, "admissionregistration.k8s.io/v1"),
    Removed("1.22", "apiextensions.k8s.io/v1beta1", ("customresourcedefinitions",), "apiextensions.k8s.io/v1"),
    Removed("1.22", "apiregistration.k8s.io/v1beta1", ("apiservices",), "apiregistration.k8s.io/v1"),
    Removed("1.22", "authentication.k8s.io/v1beta1", ("tokenreviews",), "authentication.k8s.io/v1"),
    Removed("1.22", "authorization.k8s.io/v1beta1", _REVIEWS, "authorization.k8s.io/v1"),
    Removed("1.22", "certificates.k8s.io/v1beta1", ("certificatesigningrequests",), "certificates.k8s.io/v1"),
    Removed("1.22", "coordination.k8s.io/v1beta1", ("leases",), "coordination.k8s.io/v1"),
    Removed("1.22", "extensions/v1beta1", ("ingresses",), "networking.k8s.io/v1"),
    Removed("1.22", "networking.k8s.io/v1beta1", ("ingresses", "ingressclasses"), "networking.k8s.io/v1"),
    Removed("1.22", "rbac.authorization.k8s.io/v1beta1", _RBAC, "rbac.authorization.k8s.io/v1"),
    Removed("1.22", "scheduling.k8s.io/v1beta1", ("priorityclasses",), "scheduling.k8s.io/v1"),
    Removed("1.22", "storage.k8s.io/v1beta1", _STORAGE, "storage.k8s.io/v1"),
    Removed("1.25", "autoscaling/v2beta1", ("horizontalpodautoscalers",), "autoscaling/v2", "1.23"),
    Removed("1.25", "batch/v1beta1", ("cronjobs",), "batch/v1", "1.21"),
    Removed("1.25", "discovery.k8s.io/v1beta1", ("endpointslices",), "discovery.k8s.io/v1", "1.21"),
    Removed("1.25", "events.k8s.io/v1beta1", ("events",), "events.k8s.io/v1"),
    Removed("1.25", "node.k8s.io/v1beta1", ("runtimeclasses",), "node.k8s.io/v1"),
    Removed("1.25", "policy/v1beta1", ("poddisruptionbudgets",), "policy/v1", "1.21"),
    Removed("1.25", "policy/v1beta1", ("podsecuritypolicies",), own=True),
    Removed("1.26", "autoscaling/v2beta2", ("horizontalpodautoscalers",), "autoscaling/v2", "1.23"),
    Removed("1.26", f"{_FLOW}/v1beta1", _FLOWS, f"{_FLOW}/v1beta3", "1.26", own=True),
    Removed("1.27", "storage.k8s.io/v1beta1", ("csistoragecapacities",), "storage.k8s.io/v1", "1.24"),
    Removed("1.29", f"{_FLOW}/v1beta2", _FLOWS, f"{_FLOW}/v1", "1.29", own=True),
    Removed("1.32", f"{_FLOW}/v1beta3", _FLOWS, f"{_FLOW}/v1", "1.29", own=True),
)
WRITTEN = frozenset(
    {
        *("customresourcedefinitions", "cronjobs", "horizontalpodautoscalers", "ingressclasses", "ingresses"),
        *("poddisruptionbudgets", "priorityclasses", "runtimeclasses", "storageclasses", *_HOOKS, *_RBAC),
    }
)
"""Resources that people write manifests of; of the others there may be very many, and the control plane writes them."""


def removed(now: str, goal: str) -> Iterator[Removed]:
    """What goes on the way between two releases."""
    low, high = parts(now)[:2], parts(goal)[:2]
    return (each for each in REMOVED if low < parts(each.at) <= high)
