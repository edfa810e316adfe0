"""Checks of what lies on hosts: keys, certificates, and whom kubeconfigs name. Their look is what every host says."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from quorate.component.settings import apiserver
from quorate.execute.survey import View
from quorate.pki import profiles
from quorate.report.findings import Verdict, failed, passed
from quorate.spec import layout, pki_files
from quorate.spec.cluster import LOOPBACK, Cluster

Views = Mapping[str, View]
"""By name of the host."""


def _keys(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if path.endswith((".key", "-key.pem"))}


def judge_keys_placed(cluster: Cluster, seen: Views) -> Verdict:
    """No key, above all no CA's key, on a host that has no use for it; admins' credentials on masters only."""
    for name, view in seen.items():
        host = cluster.host(name)
        if stray := _keys(view.files) - {each.path for each in profiles.files(cluster, host)}:
            return failed(f"{name} has {', '.join(sorted(stray))}, for which it has no use")
        admin = {layout.kubeconfig("admin"), "/root/.kube/config"} & view.files.keys()
        if admin and host not in cluster.masters:
            return failed(f"{name} has {', '.join(sorted(admin))}")
    count = sum(len(_keys(view.files)) for view in seen.values())
    signers = ", ".join(host.name for host in cluster.masters)
    return passed(f"{count} keys, each where it is used; the CA's key only on {signers}")


def judge_keys_closed(_cluster: Cluster, seen: Views) -> Verdict:
    """Keys and what holds keys can be read by their owner alone."""
    count = 0
    for name, view in seen.items():
        configs = {path for path in view.files if path.endswith((".kubeconfig", ".pem", ".kube/config"))}
        secret = _keys(view.files) | configs | ({apiserver.ENCRYPTION} & view.files.keys())
        opened = [f"{path} ({view.files[path][0]})" for path in sorted(secret) if int(view.files[path][0], 8) & 0o077]
        if opened:
            return failed(f"{name}: others can read {', '.join(opened)}")
        count += len(secret)
    return passed(f"{count} files of mode 0600")


def judge_certificates(cluster: Cluster, seen: Views) -> Verdict:
    """No certificate ends within the time in which it would be renewed."""
    pki = cluster.pki
    leaf = timedelta(days=min(pki.renew_before_days, pki.leaf_days / 2))
    ca = timedelta(days=min(30, pki.ca_days / 2))
    ends = []
    for name, view in seen.items():
        for each in view.certificates:
            left = each.info.not_after - view.now
            if left < (ca if each.info.ca else leaf):
                return failed(f"{name}: {each.path} ends in {left.days} days")
            ends.append((left, f"{each.path} on {name}"))
    if not ends:
        return failed("no certificate was found on any host")
    left, where = min(ends)
    return passed(f"{len(ends)} certificates; the first ends in {left.days} days ({where})")


def judge_ca(_cluster: Cluster, seen: Views) -> Verdict:
    """Every host trusts the same CA: what one issued, all accept."""
    by_serial: dict[int, list[str]] = {}
    for name, view in seen.items():
        for each in view.certificates:
            if each.path == pki_files.CA:
                by_serial.setdefault(each.info.serial, []).append(name)
    groups = list(by_serial.values())
    if len(groups) != 1:
        return failed(f"{len(groups)} different CAs: {'; '.join(', '.join(names) for names in groups)}")
    return passed(f"one CA on {len(groups[0])} hosts")


def judge_independent(cluster: Cluster, seen: Views) -> Verdict:
    """What runs on one master needs no other master: kubeconfigs at home, etcd by the way to all members."""
    masters, workers, url = cluster.masters, cluster.workers, cluster.node_url
    for master in masters:
        view = seen[master.name]
        for component in ("kube-controller-manager", "kube-scheduler"):
            server = view.servers.get(layout.kubeconfig(component), "")
            if urlsplit(server).hostname not in {master.ip, LOOPBACK, "localhost"}:
                return failed(f"{component} of {master.name} asks {server or 'nobody'}, not its own API server")
        used = {urlsplit(each).hostname or "" for each in view.etcd_servers}
        if not used:
            return failed(f"kube-apiserver of {master.name} does not run, or has no --etcd-servers")
        if used != {LOOPBACK}:
            return failed(f"kube-apiserver of {master.name} uses {', '.join(sorted(used))}, not its way to etcd")
    admin = {seen[master.name].servers.get(layout.kubeconfig("admin"), "") for master in masters}
    if admin != {url}:
        return failed(f"kubectl on the masters asks {', '.join(sorted(admin))}, not {url}")
    for worker in workers:
        for component in ("kubelet", "kube-proxy"):
            server = seen[worker.name].servers.get(layout.kubeconfig(component), "nobody")
            if server != url:
                return failed(f"{component} of {worker.name} asks {server}, not {url}")
    return passed(f"{len(masters)} masters each at their own API server, {len(workers)} workers at {url}")
