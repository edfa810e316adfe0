"""Pods that run commands, as little privileged as can be: a Deployment spread over all workers, or one on a node."""

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
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "topologySpreadConstraints": [spread],
        "containers": [_container(name, image, command, container or {})],
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


def pod(app: str, node: str, *, image: str, commands: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """A pod on one node whose containers run to their end, without a namespace; the node is in its name.

    `commands`: a line of sh and more fields of its container, by the container's name.
    """
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [_container(each, image, command, more) for each, (command, more) in commands.items()],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{app}-{node}", "labels": {"app": app}},
        "spec": spec,
    }


def _container(name: str, image: str, command: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
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
        **more,
    }
