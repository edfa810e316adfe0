"""A Deployment of pods that run one command, as little privileged as can be, spread over all workers."""

from collections.abc import Mapping
from typing import Any


def deployment(
    name: str,
    *,
    image: str,
    command: str,
    replicas: int,
    container: Mapping[str, Any] | None = None,
    pod: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The object, without a namespace. `command` is a line of sh; `container` and `pod` are more of their fields."""
    labels = {"app": name}
    # Workers differ by at most one pod, so that no worker is left out, whatever else runs there.
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    one = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        "securityContext": {
            "runAsUser": 65534,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        **(container or {}),
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "topologySpreadConstraints": [spread],
        "containers": [one],
        **(pod or {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
