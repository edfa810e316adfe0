"""Checks of who may do what, and of what is written down and encrypted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.component.etcd import etcdctl
from quorate.report.findings import Verdict, failed, passed
from quorate.spec import layout
from quorate.spec.cluster import Cluster, Host
from quorate.spec.ports import KUBELET
from quorate.verify import pods
from quorate.verify.env import CURL, Env, own_url

NAMELESS = frozenset({"system:anonymous", "system:unauthenticated"})
EVERYBODY = frozenset({"system:authenticated", "system:serviceaccounts"})
HARMLESS = frozenset({"system:public-info-viewer"})
"""ClusterRole that Kubernetes itself gives the nameless: health and version."""
READ_ONLY_PORT = 10255
AUDIT_WRITTEN_S = 5
"""Seconds within which a request stands in the audit log."""


@dataclass(frozen=True)
class Binding:
    """Who is given a role."""

    name: str
    role: str
    subjects: frozenset[str]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Binding":
        """A binding as the API has it."""
        subjects = frozenset(subject["name"] for subject in item.get("subjects") or [])
        return cls(item["metadata"]["name"], item["roleRef"]["name"], subjects)

    @property
    def open(self) -> bool:
        """Whether it gives those without a name more than health and version, or everybody everything."""
        nameless = bool(self.subjects & NAMELESS) and self.role not in HARMLESS
        return nameless or (bool(self.subjects & EVERYBODY) and self.role == "cluster-admin")


@dataclass(frozen=True)
class Rights:
    """What may be done without a name."""

    bindings: tuple[Binding, ...]
    """All of the cluster."""
    codes: Mapping[str, tuple[str, ...]]
    """By master, what its API server answers to two requests without a name."""


async def look_nameless(env: Env) -> Rights:
    """All bindings; and requests without a name to every API server."""
    items = (await env.objects("bindings"))["items"] + (await env.objects("rolebindings"))["items"]

    def script(master: Host) -> str:
        urls = " ".join(f"{own_url(env.cluster, master)}{path}" for path in ("/api/v1/nodes", "/api/v1/secrets"))
        return f"for u in {urls}; do {CURL} -k -o /dev/null -w '%{{http_code}} ' $u; done; :"

    outputs = await env.many(env.cluster.masters, script)
    codes = {name: tuple(output.split()) for name, output in outputs.items()}
    return Rights(tuple(map(Binding.of, items)), codes)


def judge_nameless(_cluster: Cluster, seen: Rights) -> Verdict:
    """Nobody without a name may do anything but ask for health and version."""
    gifts = [
        f"{each.name} gives {each.role} to {', '.join(sorted(each.subjects))}" for each in seen.bindings if each.open
    ]
    if gifts:
        return failed("; ".join(gifts))
    for name, codes in seen.codes.items():
        if len(codes) != 2 or not set(codes) <= {"401", "403"}:
            return failed(f"{name} answers the nameless {' '.join(codes)}")
    refusals = [code for codes in seen.codes.values() for code in codes]
    how = ", ".join(sorted(set(refusals)))
    return passed(f"{len(seen.bindings)} bindings looked at; nodes and secrets refused {len(refusals)} times ({how})")


@dataclass(frozen=True)
class KubeletPorts:
    """How a kubelet lets people in."""

    code: str
    """What it answers to a request without a name."""
    exits: tuple[str, ...]
    """How curl ended at its read-only port, at each address."""


async def look_kubelets(env: Env) -> Mapping[str, KubeletPorts]:
    """Every worker asks its kubelet without a name, and at the read-only port."""

    def script(host: Host) -> str:
        return (
            f"{CURL} -k -o /dev/null -w '%{{http_code}} ' https://{host.ip}:{KUBELET}/pods\n"
            f"for a in {host.ip} 127.0.0.1; do {CURL} --max-time 2 -o /dev/null http://$a:{READ_ONLY_PORT}/pods; "
            'echo "exit=$? "; done'
        )

    ports = {}
    for name, output in (await env.many(env.cluster.workers, script)).items():
        code, *exits = output.split()
        ports[name] = KubeletPorts(code, tuple(exits))
    return ports


def judge_kubelets(cluster: Cluster, seen: Mapping[str, KubeletPorts]) -> Verdict:
    """A kubelet wants to know who asks, and has no read-only port."""
    for name, ports in seen.items():
        if ports.code != "401":
            return failed(f"kubelet of {name} answers {ports.code} to the nameless, expected 401")
        # 7: nobody listens; 28: no answer.
        if not set(ports.exits) <= {"exit=7", "exit=28"}:
            return failed(f"port {READ_ONLY_PORT} of {name} is open")
    count = len(cluster.workers)
    return passed(f"{count} of {count} answer 401, port {READ_ONLY_PORT} closed")


def unsealed(cluster: Cluster) -> str:
    """Why Secrets lie open, or none can be made to look at."""
    if not cluster.apiserver.encrypt_secrets:
        return "apiserver.encrypt_secrets is false in the cluster file"
    if not cluster.members or not cluster.workers:
        return "no etcd host, or no worker, in the cluster file"
    return ""


@dataclass(frozen=True)
class Stored:
    """A Secret as etcd has it."""

    key: str
    head: str
    """How its value begins; a dot for what can't be printed."""
    count: str
    """How many lines of it have the plain text."""


async def look_sealed(env: Env) -> Stored:
    """The Secret of the test pods, read from a member of etcd."""
    (await env.once(pods.first)).complete()
    prefix = "/" + env.cluster.apiserver.extra_flags.get("etcd-prefix", "registry").strip("/")
    key = f"{prefix}/secrets/{env.namespace}/{pods.SECRET}"
    member = env.cluster.members[0]
    script = (
        f"v=$({etcdctl(member)} get {key} --print-value-only | tr -d '\\000' | base64 -w0); "
        f"printf %s \"$v\" | base64 -d | head -c 40 | LC_ALL=C tr -c '[:print:]' '.'; echo\n"
        f'printf %s "$v" | base64 -d | grep -c {pods.SECRET_TEXT}; :'
    )
    head, _, count = (await env.run(member, script)).strip().partition("\n")
    return Stored(key, head, count.strip())


def judge_sealed(cluster: Cluster, seen: Stored) -> Verdict:
    """It lies encrypted."""
    if not seen.head.startswith("k8s:enc:secretbox:"):
        return failed(f"{seen.key} begins {seen.head[:24]!r}, expected k8s:enc:secretbox")
    if seen.count != "0":
        return failed(f"{seen.key} holds the plain text")
    return passed(f"read from {cluster.members[0].name}: the value begins {':'.join(seen.head.split(':')[:5])}")


def own_audit_policy(cluster: Cluster) -> str:
    """Why nobody knows what should be written down."""
    return "" if cluster.apiserver.audit_policy is None else "apiserver.audit_policy is the cluster file's own"


async def look_audited(env: Env) -> Mapping[str, str]:
    """By master, the line of the audit log about a look at a Secret that is not there."""

    def script(master: Host) -> str:
        name = f"{env.namespace}-{master.name}"
        line = f"""tail -c 2000000 {layout.AUDIT_LOG} | grep -F '"name":"{name}"'"""
        ask = f"{env.kubectl(own_url(env.cluster, master))} -n default get secret {name}"
        return (
            f"{ask} 2>&1 | grep -q NotFound || echo unasked\n"
            f"for i in $(seq {AUDIT_WRITTEN_S * 5}); do\n"
            f"    line=$({line}) && break; sleep 0.2\n"
            'done\nprintf "%s\\n" "$line" | tail -n 1'
        )

    return await env.many(env.cluster.masters, script)


def judge_audited(cluster: Cluster, seen: Mapping[str, str]) -> Verdict:
    """Every API server writes down who asked for what."""
    for name, text in seen.items():
        if "unasked" in text:
            return failed(f"{name}: its API server does not answer")
        try:
            record = json.loads(text)
        except ValueError:
            return failed(f"{name}: {layout.AUDIT_LOG} has no line of a request {AUDIT_WRITTEN_S} s after it")
        asked = record.get("verb"), record.get("responseStatus", {}).get("code"), bool(record["user"]["username"])
        if asked != ("get", 404, True):
            return failed(f"{name}: {layout.AUDIT_LOG} says {text.strip()[:200]}")
    return passed(f"{len(cluster.masters)} API servers wrote down who looked at a Secret")
