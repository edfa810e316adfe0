"""Rules across fields of the cluster file: tables of small functions from a cluster to what is wrong with it.

A rule names the top-level sections that it reads; it is skipped where one of them is itself broken, so that
one mistake is told once. Only `files` looks outside of the value, at the files that the cluster names.
"""

from collections.abc import Collection

from quorate.spec.cluster import Cluster
from quorate.spec.rules import (
    endpoint,
    exist,
    files,
    folders,
    hosts,
    network,
    parts,
    protection,
    reach,
    registries,
    segments,
    state,
    timing,
)
from quorate.spec.tree import Fault

RULES = (
    hosts.RULES
    + reach.RULES
    + endpoint.RULES
    + network.RULES
    + segments.RULES
    + parts.RULES
    + folders.RULES
    + registries.RULES
    + exist.RULES
    + protection.RULES
    + timing.RULES
    + state.RULES
    + files.RULES
)


def check(cluster: Cluster, broken: Collection[str] = (), *, runs: bool = False, offline: bool = False) -> list[Fault]:
    """Everything wrong with a cluster, from the rules that read no broken section.

    `runs`: it was built before. `offline`: the files that it names may be elsewhere, keys above all.
    """
    asked = [rule for rule in RULES if rule not in files.RULES] if offline else RULES
    rules = [rule for rule in asked if not rule.reads & set(broken) and not (runs and rule.first)]
    return [fault for rule in rules for fault in rule.check(cluster)]
