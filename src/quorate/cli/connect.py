"""Connections to a cluster's hosts, and which of them are there to be judged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.core import Transport
from quorate.spec.cluster import Cluster
from quorate.spec.leaving import everybody
from quorate.state.past import Past
from quorate.state.store import Store
from quorate.transport.password import Prompt
from quorate.transport.ssh import SshTransport


def open_transport(cluster: Cluster, *, asks: bool) -> Transport:
    """The way to the cluster's hosts; tests put another one here."""
    return SshTransport.of(cluster, prompt=Prompt(allowed=asks))


@asynccontextmanager
async def connected(cluster: Cluster, file: Path, *, asks: bool) -> AsyncIterator[Transport]:
    """The same, also to hosts that are about to leave; closed in the end."""
    past = Past(Store.beside(file, cluster.name), file, cluster)
    via = open_transport(everybody(cluster, past.former), asks=asks)
    try:
        yield via
    finally:
        await via.close()


def present_cluster(cluster: Cluster, file: Path) -> Cluster:
    """The cluster less the hosts that are left out of it since they are dead: what its judges expect."""
    return Past(Store.beside(file, cluster.name), file, cluster).there
