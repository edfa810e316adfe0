"""Cluster DNS: CoreDNS from our own manifest, spread over nodes."""

from collections.abc import Iterator, Mapping, Sequence

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.render import yaml
from quorate.resource.kube import Manifest
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import Resolver
from quorate.spec.resolvers import chosen, usable

NAME = "dns"
AFTER: tuple[str, ...] = ("access",)
MEETS: Mapping[str, Enough] = {"kubelet": Enough.ONE}
TURNS = Turns.TOGETHER

RESOLV_CONF = "/etc/resolv.conf"
LABELS = {"k8s-app": "kube-dns"}
"""The label by which the field finds cluster DNS, whatever serves it."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """CoreDNS's objects, unless turned off or without workers."""
    c = context.cluster
    if not c.dns.enabled or not c.workers or host != context.api_host:
        return
    image = context.pod_image(c.dns.image, context.supply.coredns_image, context.minor.coredns_image)
    if image:
        text = yaml.dump_all(objects(c, image, resolvers(context), servers(context)))
        yield Manifest(host=host.name, title="dns", text=text, server=f"https://{host.ip}:{c.apiserver.port}")


def resolvers(context: Context) -> str:
    """Who is asked for names outside the cluster: each node's own resolvers, where pods reach them all on every node.

    Else those that they reach on some node; empty where there are none. CoreDNS itself would be one of them where a
    node's file names loopback, which in a pod is the pod itself: it would find a loop, and end.
    """
    files = _files(context)
    whole = all(file.servers and usable(context.cluster, file) == file.servers for file in files)
    return RESOLV_CONF if whole else " ".join(servers(context))


def servers(context: Context) -> list[str]:
    """All servers that pods of some node reach, for names outside the cluster."""
    return sorted({each for file in _files(context) for each in usable(context.cluster, file)})


def _files(context: Context) -> list[Resolver]:
    """The resolver file of each worker that answers."""
    c = context.cluster
    return [chosen(c, context.of(worker)) for worker in c.workers if worker.name not in context.absent]


def objects(c: Cluster, image: str, resolvers: str, known: Sequence[str] = ()) -> list[dict[str, object]]:
    """Account, rights, Corefile, Deployment and Service.

    `known` are the servers that nodes' files name: a pod has them from its start on, so others need another pod.
    """
    meta = {"name": "coredns", "namespace": "kube-system"}
    role = "rbac.authorization.k8s.io"
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": f"{role}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "quorate:coredns"},
            "rules": rules,
        },
        {
            "apiVersion": f"{role}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "quorate:coredns"},
            "roleRef": {"apiGroup": role, "kind": "ClusterRole", "name": "quorate:coredns"},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": corefile(c, resolvers)}},
        _deployment(c, meta, image, " ".join(known)),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": LABELS},
            "spec": {
                "selector": LABELS,
                "clusterIP": c.dns_ip,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                    {"name": "metrics", "port": 9153, "protocol": "TCP"},
                ],
            },
        },
    ]


def corefile(c: Cluster, resolvers: str) -> str:
    """The zone of the cluster, and `resolvers` for the rest; without any, the rest is answered with SERVFAIL."""
    # CoreDNS does not start when it is to forward to nobody; `loop` finds out whether it forwards to itself.
    rest = f"    forward . {resolvers}\n    loop\n" if resolvers else ""
    return (
        ".:53 {\n    errors\n    health {\n        lameduck 5s\n    }\n    ready\n"
        f"    kubernetes {c.network.dns_domain} in-addr.arpa ip6.arpa {{\n"
        "        pods insecure\n        fallthrough in-addr.arpa ip6.arpa\n        ttl 30\n    }\n"
        f"    prometheus :9153\n{rest}    cache 30\n    reload\n    loadbalance\n}}\n"
    )


def _deployment(c: Cluster, meta: dict[str, str], image: str, servers: str) -> dict[str, object]:
    def ask(path: str, port: int) -> dict[str, object]:
        return {"httpGet": {"path": path, "port": port}, "periodSeconds": 5, "failureThreshold": 5}

    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "50m", "memory": "70Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["all"]},
            "readOnlyRootFilesystem": True,
        },
        "livenessProbe": ask("/health", 8080) | {"initialDelaySeconds": 30},
        "readinessProbe": ask("/ready", 8181),
    }
    spread = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "labelSelector": {"matchLabels": LABELS},
                        "topologyKey": "kubernetes.io/hostname",
                    },
                }
            ]
        }
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**meta, "labels": LABELS},
        "spec": {
            "replicas": c.dns.replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS, "annotations": {"quorate/name-servers": servers}},
                "spec": {
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": "coredns",
                    "affinity": spread,
                    "dnsPolicy": "Default",
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
                    "containers": [container],
                    "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
                },
            },
        },
    }
