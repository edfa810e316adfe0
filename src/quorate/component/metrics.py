"""What pods and nodes use: metrics-server, an API of its own behind the API servers (aggregation)."""

import base64
from collections.abc import Iterator, Mapping

from quorate.component.context import Context
from quorate.component.turns import Enough, Turns
from quorate.render import yaml
from quorate.resource.kube import KeyPair, Manifest
from quorate.resource.resource import Resource
from quorate.spec import metrics_server as server
from quorate.spec.cluster import Cluster, Host

NAME = "metrics"
AFTER: tuple[str, ...] = ("access",)
MEETS: Mapping[str, Enough] = {"kubelet": Enough.ONE}
TURNS = Turns.TOGETHER

LABELS = {"k8s-app": server.NAME}
_META = {"name": server.NAME, "namespace": server.NAMESPACE}
_RBAC = "rbac.authorization.k8s.io"
_KEYS = "/etc/metrics-server"
_USER = 65534
_CA = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
"""The cluster's CA, as every pod has it; it has signed the kubelets' certificates."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """metrics-server's objects, where there is one for this Kubernetes and its image can be had."""
    c = context.cluster
    if not server.wanted(c) or host != context.api_host:
        return
    usual = f"{server.UPSTREAM}:v{context.minor.metrics_server}"
    image = context.pod_image(c.metrics.image, context.supply.metrics_server_image, usual)
    if image is None:
        return
    url, secrets = f"https://{host.ip}:{c.apiserver.port}", context.secrets
    yield KeyPair(
        host=host.name,
        title=server.NAME,
        namespace=server.NAMESPACE,
        cert=secrets.cert(server.NAME),
        key_pem=secrets.key(server.NAME),
        server=url,
    )
    yield Manifest(host=host.name, title=NAME, text=yaml.dump_all(objects(c, image, secrets.cert("ca"))), server=url)


def objects(c: Cluster, image: str, ca: bytes) -> list[dict[str, object]]:
    """Account, rights, Deployment, Service, and the API that it serves; `ca` has signed its certificate."""
    found: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _META},
        *_rights(),
        _deployment(c, image),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**_META, "labels": LABELS},
            "spec": {"selector": LABELS, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": ".".join(reversed(server.API.split("/")))},
            "spec": {
                "group": server.API.split("/")[0],
                "version": server.API.split("/")[1],
                "service": _META,
                "caBundle": base64.b64encode(ca).decode("ascii"),
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
    if server.replicas(c) > 1:
        budget = {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}
        found.append({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _META, "spec": budget})
    return found


def _rights() -> Iterator[dict[str, object]]:
    """Its own: nodes' numbers, and to ask API servers who somebody is and what he may. Others': to read from it."""
    account = {"kind": "ServiceAccount", **_META}

    def role(name: str, rules: list[dict[str, object]], **labels: str) -> dict[str, object]:
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        return {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}

    def binding(name: str, role: str, **more: str) -> dict[str, object]:
        space = {"namespace": server.NAMESPACE} if more else {}
        return {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding" if more else "ClusterRoleBinding",
            "metadata": {"name": name, **space},
            "roleRef": {"apiGroup": _RBAC, "kind": more.get("kind", "ClusterRole"), "name": role},
            "subjects": [account],
        }

    read = ["get", "list", "watch"]
    yield role(
        "quorate:metrics-server",
        [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": read},
        ],
    )
    own: list[dict[str, object]] = [
        {"apiGroups": [server.API.split("/")[0]], "resources": ["nodes", "pods"], "verbs": read}
    ]
    wide = {f"{_RBAC}/aggregate-to-{each}": "true" for each in ("view", "edit", "admin")}
    yield role("quorate:metrics-reader", own, **wide)
    yield binding("quorate:metrics-server", "quorate:metrics-server")
    yield binding("quorate:metrics-server:auth-delegator", "system:auth-delegator")
    yield binding("quorate:metrics-server", "extension-apiserver-authentication-reader", kind="Role")


def _deployment(c: Cluster, image: str) -> dict[str, object]:
    shared = server.on_hosts(c)
    port = server.HOST_PORT if shared else server.PORT

    def ask(path: str) -> dict[str, object]:
        return {"httpGet": {"path": path, "port": "https", "scheme": "HTTPS"}, "periodSeconds": 5}

    container = {
        "name": server.NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--secure-port={port}",
            f"--tls-cert-file={_KEYS}/tls.crt",
            f"--tls-private-key-file={_KEYS}/tls.key",
            f"--kubelet-certificate-authority={_CA}",
            # The addresses in kubelets' certificates; names needn't be known to DNS.
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            # Upstream's own. Numbers of less than two rounds ago are none.
            "--metric-resolution=15s",
        ],
        # Upstream's request, for up to 100 nodes.
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
        "ports": [{"name": "https", "containerPort": port}],
        "volumeMounts": [{"name": "keys", "mountPath": _KEYS, "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "readinessProbe": ask("/readyz"),
        "livenessProbe": ask("/livez") | {"initialDelaySeconds": 30},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": LABELS},
    }
    pod = {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": server.NAME,
        **({"hostNetwork": True} if shared else {}),
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
        "topologySpreadConstraints": [spread],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "containers": [container],
        # A new certificate is in the pod within two minutes, and taken over without a restart.
        "volumes": [{"name": "keys", "secret": {"secretName": server.NAME, "defaultMode": 0o440}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_META, "labels": LABELS},
        "spec": {
            "replicas": server.replicas(c),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
        },
    }
