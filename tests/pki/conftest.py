from datetime import UTC, datetime

import pytest

from quorate.pki.keyring import Keyring
from quorate.spec.cluster import ApiServer, Cluster, Endpoint, Host, Role
from quorate.spec.secrets import Secrets

NOW = datetime.now(UTC)
"""The real time: openssl verifies by its own clock."""


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    master, etcd, worker, lb = Role.CONTROL_PLANE, Role.ETCD, Role.WORKER, Role.LOAD_BALANCER
    return Cluster(
        name="prod",
        hosts=(
            Host(name="master01", address="10.0.0.1", roles=(master, etcd)),
            Host(name="master02", address="10.0.0.2", roles=(master,)),
            Host(name="node01", address="10.0.0.11", roles=(worker, etcd), node_name="10.0.0.11"),
            Host(name="node02", address="10.0.0.12", roles=(worker, etcd)),
            Host(name="lb01", address="10.0.0.21", roles=(lb,)),
            Host(name="lb02", address="10.0.0.22", roles=(lb,)),
        ),
        endpoint=Endpoint(vip="10.0.0.100"),
        apiserver=ApiServer(extra_sans=("api.example.org", "192.0.2.7")),
    )


@pytest.fixture(scope="session")
def secrets(cluster: Cluster) -> Secrets:
    return Keyring(cluster, {}, NOW, lambda id: id).complete()
