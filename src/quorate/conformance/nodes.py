"""Nodes that the suite would wait for: it begins no test until every node takes pods, half an hour without a word."""

from collections.abc import Mapping, Sequence
from typing import Any

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
KUBERNETES = "node.kubernetes.io/"
"""Begins the taints by which Kubernetes itself bars a node; those of others are meant to stay."""
BARS = ("NoSchedule", "NoExecute")

Node = Mapping[str, Any]


def barred(nodes: Sequence[Node]) -> list[str]:
    """Nodes that take no pods now, each with the reason."""
    reasons = []
    for node in nodes:
        name, spec = node["metadata"]["name"], node.get("spec", {})
        taints = [key for key in _bars(node) if key.startswith(KUBERNETES) and key != f"{KUBERNETES}unschedulable"]
        if spec.get("unschedulable"):
            reasons.append(f"{name} is cordoned")
        elif taints:
            reasons.append(f"{name} has the taint {', '.join(taints)}")
        elif not any(each["type"] == "Ready" and each["status"] == "True" for each in _conditions(node)):
            reasons.append(f"{name} is not Ready")
    return reasons


def chosen_taints(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Keys of the taints that somebody put on nodes on purpose: the suite leaves those nodes aside, and begins."""
    keys = (key for node in nodes for key in _bars(node) if not key.startswith(KUBERNETES))
    return tuple(dict.fromkeys([CONTROL_PLANE, *keys]))


def _bars(node: Node) -> list[str]:
    return [each["key"] for each in node.get("spec", {}).get("taints") or () if each["effect"] in BARS]


def _conditions(node: Node) -> Sequence[Mapping[str, str]]:
    found: Sequence[Mapping[str, str]] = node.get("status", {}).get("conditions") or ()
    return found
