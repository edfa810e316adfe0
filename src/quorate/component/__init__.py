"""The rooms of the cluster: one module per part, each one pure function. This tuple is the table of contents."""

from quorate.component import (
    access,
    apiserver,
    balancer,
    cni,
    controller_manager,
    dns,
    endpoint,
    etcd,
    etcd_way,
    images,
    kubelet,
    leaving,
    programs,
    proxy,
    runtime,
    scheduler,
    system,
    trust,
)
from quorate.component.context import Component

COMPONENTS: tuple[Component, ...] = (
    system,
    trust,
    etcd,
    etcd_way,
    apiserver,
    controller_manager,
    scheduler,
    access,
    balancer,
    endpoint,
    programs,
    runtime,
    images,
    cni,
    kubelet,
    proxy,
    dns,
    leaving,
)
