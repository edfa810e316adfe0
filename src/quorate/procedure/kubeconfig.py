"""The operator's own kubeconfig, from the keys in the state folder: no host is asked for them."""

import socket
from datetime import UTC, datetime

from quorate.core import QuorateError
from quorate.render.kubeconfig import kubeconfig
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import Secrets
from quorate.state.store import Store


def administrator(cluster: Cluster, store: Store) -> Secrets:
    """The secrets, with those of the administrator as the cluster knows them.

    Nothing is made here: raises QuorateError when they are not in the state folder yet.
    """
    secrets = store.secrets(cluster, datetime.now(UTC), persist=False)
    made = [change for change in store.changes if change.startswith(("ca:", "admin:"))]
    if made:
        raise QuorateError(
            f"{store.path}: has no key of the administrator that the cluster knows ({'; '.join(made)})",
            "run `quorate apply` first, from the machine and folder that hold the cluster's state",
        )
    return secrets


CONNECT_WITHIN_S = 1.0
"""Seconds for a master to take a connection."""


def outside(cluster: Cluster) -> str:
    """URL of the API for a client outside: the endpoint's.

    Where each node has a balancer of its own and the file names no address, that of the first master that takes a
    connection from here; of the first of all when none does.
    """
    if not cluster.endpoint.local or cluster.endpoint.address or len(cluster.masters) == 1:
        return cluster.server_url
    found = next((master for master in cluster.masters if _answers(master.ip, cluster.apiserver.port)), None)
    return f"https://{(found or cluster.masters[0]).ip}:{cluster.apiserver.port}"


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=CONNECT_WITHIN_S):
            return True
    except OSError:
        return False


def operator_kubeconfig(cluster: Cluster, store: Store, server: str = "") -> str:
    """Text of a kubeconfig for the operator's machine, at the cluster's endpoint or `server`, as its administrator.

    The text holds a private key. Raises what `administrator` does.
    """
    secrets = administrator(cluster, store)
    return kubeconfig(
        server or cluster.server_url,
        secrets.cert("ca"),
        "kubernetes-admin",
        cert_pem=secrets.cert("admin"),
        key_pem=secrets.key("admin"),
        cluster=cluster.name,
    )
