"""Checks of who may do what, where keys lie, and what leaves a host unprotected."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from quorate.component.etcd import etcdctl
from quorate.component.settings import apiserver
from quorate.pki import profiles
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host
from quorate.spec.ports import KUBELET
from quorate.verify import pods
from quorate.verify.api import CURL
from quorate.verify.check import Skip, Wrong, demand
from quorate.verify.env import Env, own_url

NAMELESS = frozenset({"system:anonymous", "system:unauthenticated"})
EVERYBODY = frozenset({"system:authenticated", "system:serviceaccounts"})
HARMLESS = frozenset({"system:public-info-viewer"})
"""ClusterRole that Kubernetes itself gives the nameless: health and version."""
READ_ONLY_PORT = 10255
WRITTEN = 5
"""Seconds within which a request stands in the audit log."""


def _subjects(binding: dict[str, Any]) -> set[str]:
    return {subject["name"] for subject in binding.get("subjects") or []}


async def nameless(env: Env) -> str:
    """Nobody without a name may do anything but ask for health and version."""
    bindings: list[dict[str, Any]] = (await env.objects("bindings"))["items"]
    bindings = bindings + (await env.objects("rolebindings"))["items"]
    bad = []
    for binding in bindings:
        role, subjects = binding["roleRef"]["name"], _subjects(binding)
        if (subjects & NAMELESS and role not in HARMLESS) or (subjects & EVERYBODY and role == "cluster-admin"):
            bad.append(f"{binding['metadata']['name']} gives {role} to {', '.join(sorted(subjects))}")
    demand(not bad, "; ".join(bad))

    def script(master: Host) -> str:
        urls = " ".join(f"{own_url(env.cluster, master)}{path}" for path in ("/api/v1/nodes", "/api/v1/secrets"))
        return f"for u in {urls}; do {CURL} -k -o /dev/null -w '%{{http_code}} ' $u; done; :"

    codes = []
    for name, text in (await env.many(env.cluster.masters, script)).items():
        said = text.split()
        demand(len(said) == 2 and set(said) <= {"401", "403"}, f"{name} answers the nameless {' '.join(said)}")
        codes += said
    how = ", ".join(sorted(set(codes)))
    return f"{len(bindings)} bindings looked at; nodes and secrets refused {len(codes)} times ({how})"


async def kubelets_closed(env: Env) -> str:
    """A kubelet wants to know who asks, and has no read-only port."""
    if not env.cluster.workers:
        raise Skip("the cluster file has no worker")

    def script(host: Host) -> str:
        return (
            f"{CURL} -k -o /dev/null -w '%{{http_code}} ' https://{host.ip}:{KUBELET}/pods\n"
            f"for a in {host.ip} 127.0.0.1; do {CURL} --max-time 2 -o /dev/null http://$a:{READ_ONLY_PORT}/pods; "
            'echo "exit=$? "; done'
        )

    for name, text in (await env.many(env.cluster.workers, script)).items():
        code, *exits = text.split()
        demand(code == "401", f"kubelet of {name} answers {code} to the nameless, expected 401")
        # 7: nobody listens; 28: no answer.
        demand(set(exits) <= {"exit=7", "exit=28"}, f"port {READ_ONLY_PORT} of {name} is open")
    count = len(env.cluster.workers)
    return f"{count} of {count} answer 401, port {READ_ONLY_PORT} closed"


def _keys(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if path.endswith((".key", "-key.pem"))}


async def keys_where_needed(env: Env) -> str:
    """No key, above all no CA's key, on a host that has no use for it; admins' credentials on masters only."""
    count = 0
    for name, view in (await env.views()).items():
        host = env.cluster.host(name)
        wanted = {each.path for each in profiles.files(env.cluster, host)}
        stray = sorted(_keys(view.files) - wanted)
        demand(not stray, f"{name} has {', '.join(stray)}, for which it has no use")
        admin = {layout.kubeconfig("admin"), "/root/.kube/config"} & view.files.keys()
        demand(not admin or host in env.cluster.masters, f"{name} has {', '.join(sorted(admin))}")
        count += len(_keys(view.files))
    signers = [host.name for host in env.cluster.masters]
    return f"{count} keys, each where it is used; the CA's key only on {', '.join(signers)}"


async def keys_closed(env: Env) -> str:
    """Keys and what holds keys can be read by their owner alone."""
    count = 0
    for name, view in (await env.views()).items():
        secret = _keys(view.files) | {
            path for path in view.files if path.endswith((".kubeconfig", ".pem", ".kube/config"))
        }
        secret |= {apiserver.ENCRYPTION} & view.files.keys()
        opened = [f"{path} ({view.files[path][0]})" for path in sorted(secret) if int(view.files[path][0], 8) & 0o077]
        demand(not opened, f"{name}: others can read {', '.join(opened)}")
        count += len(secret)
    return f"{count} files of mode 0600"


async def sealed(env: Env) -> str:
    """A Secret lies encrypted in etcd."""
    c = env.cluster
    if not c.apiserver.encrypt_secrets:
        raise Skip("apiserver.encrypt_secrets is false in the cluster file")
    if not c.members or not c.workers:
        raise Skip("no etcd host, or no worker, in the cluster file")
    await env.once(pods.first)
    prefix = "/" + c.apiserver.extra_flags.get("etcd-prefix", "registry").strip("/")
    key = f"{prefix}/secrets/{env.namespace}/{pods.SECRET}"
    member = c.members[0]
    script = (
        f"v=$({etcdctl(member)} get {key} --print-value-only | tr -d '\\000' | base64 -w0); "
        f"printf %s \"$v\" | base64 -d | head -c 40 | LC_ALL=C tr -c '[:print:]' '.'; echo\n"
        f'printf %s "$v" | base64 -d | grep -c {pods.SECRET_TEXT}; :'
    )
    head, _, found = (await env.run(member, script)).strip().partition("\n")
    demand(head.startswith("k8s:enc:secretbox:"), f"{key} begins {head[:24]!r}, expected k8s:enc:secretbox")
    demand(found.strip() == "0", f"{key} holds the plain text")
    return f"read from {member.name}: the value begins {':'.join(head.split(':')[:5])}"


async def audited(env: Env) -> str:
    """Every API server writes down who asked for what: a look at a Secret that is not there."""
    c = env.cluster
    if c.apiserver.audit_policy is not None:
        raise Skip("apiserver.audit_policy is the cluster file's own")

    def script(master: Host) -> str:
        name = f"{env.namespace}-{master.name}"
        found = f"""tail -c 2000000 {layout.AUDIT_LOG} | grep -F '"name":"{name}"'"""
        return (
            f"{env.kubectl(own_url(c, master))} -n default get secret {name} 2>&1 | grep -q NotFound || echo unasked\n"
            f"for i in $(seq {WRITTEN * 5}); do\n"
            f"    line=$({found}) && break; sleep 0.2\n"
            'done\nprintf "%s\\n" "$line" | tail -n 1'
        )

    for name, text in (await env.many(c.masters, script)).items():
        demand("unasked" not in text, f"{name}: its API server does not answer")
        try:
            record = json.loads(text)
        except ValueError:
            raise Wrong(f"{name}: {layout.AUDIT_LOG} has no line of a request {WRITTEN} s after it") from None
        said = (record.get("verb"), record.get("responseStatus", {}).get("code"), bool(record["user"]["username"]))
        demand(said == ("get", 404, True), f"{name}: {layout.AUDIT_LOG} says {text.strip()[:200]}")
    return f"{len(c.masters)} API servers wrote down who looked at a Secret"


async def certificates(env: Env) -> str:
    """No certificate ends within the time in which it would be renewed."""
    pki = env.cluster.pki
    leaf = timedelta(days=min(pki.renew_before_days, pki.leaf_days / 2))
    soonest: tuple[timedelta, str] | None = None
    count = 0
    for name, view in (await env.views()).items():
        for each in view.certificates:
            left = each.info.not_after - view.now
            limit = timedelta(days=min(30, pki.ca_days / 2)) if each.info.ca else leaf
            demand(left >= limit, f"{name}: {each.path} ends in {left.days} days")
            count += 1
            one = (left, f"{each.path} on {name}")
            soonest = min(soonest or one, one)
    demand(soonest is not None, "no certificate was found on any host")
    assert soonest is not None
    return f"{count} certificates; the first ends in {soonest[0].days} days ({soonest[1]})"


async def independent(env: Env) -> str:
    """What runs on one master needs no other master: kubeconfigs at home, etcd by the way to all members."""
    c = env.cluster
    views = await env.views()
    for master in c.masters:
        view = views[master.name]
        for component in ("kube-controller-manager", "kube-scheduler"):
            server = view.servers.get(layout.kubeconfig(component), "")
            demand(
                urlsplit(server).hostname in {master.ip, "127.0.0.1", "localhost"},
                f"{component} of {master.name} asks {server or 'nobody'}, not its own API server",
            )
        used = {urlsplit(url).hostname or "" for url in view.etcd_servers}
        demand(bool(used), f"kube-apiserver of {master.name} does not run, or has no --etcd-servers")
        demand(
            used == {"127.0.0.1"},
            f"kube-apiserver of {master.name} uses {', '.join(sorted(used))}, not its way to etcd",
        )
    admin = {views[master.name].servers.get(layout.kubeconfig("admin"), "") for master in c.masters}
    demand(admin == {c.node_url}, f"kubectl on the masters asks {', '.join(sorted(admin))}, not {c.node_url}")
    for worker in c.workers:
        for component in ("kubelet", "kube-proxy"):
            server = views[worker.name].servers.get(layout.kubeconfig(component), "nobody")
            demand(server == c.node_url, f"{component} of {worker.name} asks {server}, not {c.node_url}")
    return f"{len(c.masters)} masters each at their own API server, {len(c.workers)} workers at {c.node_url}"


async def ca_is_one(env: Env) -> str:
    """Every host trusts the same CA: what one issued, all accept."""
    seen: dict[int, list[str]] = {}
    for name, view in (await env.views()).items():
        for each in view.certificates:
            if each.path == pki_files.CA:
                seen.setdefault(each.info.serial, []).append(name)
    demand(len(seen) == 1, f"{len(seen)} different CAs: {'; '.join(', '.join(names) for names in seen.values())}")
    return f"one CA on {sum(len(names) for names in seen.values())} hosts"
