"""A cluster file less some hosts: what an apply leaves out because it is dead."""

import json
from collections.abc import Collection

from quorate.spec.cluster import Cluster
from quorate.spec.tree import parse


def cluster_without(cluster: Cluster, names: Collection[str]) -> Cluster:
    """The cluster less these hosts."""
    if not names:
        return cluster
    return cluster.model_copy(update={"hosts": tuple(host for host in cluster.hosts if host.name not in names)})


def text_without(text: str, names: Collection[str]) -> str:
    """The text of a sound cluster file less these hosts, as the loader reads it; the same text without any names.

    It is for the state folder, not for people: values alone, as JSON, which is YAML too.
    """
    if not names:
        return text
    data = parse(text.removeprefix("\ufeff")).data
    assert isinstance(data, dict)
    hosts = [host for host in data["hosts"] if host["name"] not in names]
    reduced = json.dumps({**data, "hosts": hosts}, indent=1, ensure_ascii=False)
    return f"# Without {', '.join(sorted(names))}: did not answer.\n{reduced}\n"
