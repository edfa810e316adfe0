"""Pods that move away from a node, as a piece of sh: the same for one that leaves and one that changes."""

from quorate.render.sh import quote


def drain(kubectl: str, node: str, seconds: int) -> str:
    """Cordon and drain a node, by `kubectl` as sh. Pods of DaemonSets stay, PodDisruptionBudgets are respected."""
    return f"{kubectl} drain {quote(node)} --ignore-daemonsets --delete-emptydir-data --force --timeout={seconds}s"
