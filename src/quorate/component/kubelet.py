"""kubelet: one on each worker."""

from collections.abc import Iterator, Mapping

from quorate.component import folder_disk
from quorate.component.command import tried
from quorate.component.context import Context
from quorate.component.service import runs, service
from quorate.component.settings import client, kubelet, registry
from quorate.component.turns import Enough, Turns
from quorate.render import journal, one_runtime, yaml
from quorate.render.kubeconfig import kubeconfig
from quorate.resource.file import DataDirectory, File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Host, Role

NAME = "kubelet"
AFTER: tuple[str, ...] = ("trust", "programs", "runtime", "images", "cni", "endpoint")
MEETS: Mapping[str, Enough] = {"access": Enough.NONE}
TURNS = Turns.CANARY

CREDENTIALS = f"{layout.KUBELET_DIR}/config.json"
"""Where the kubelet looks for logins of registries, below its folder; it reads it again every few minutes."""

OVER_S = 180
"""Seconds within which a node has gone over to another runtime: as many DaemonSet pods are Ready there as before."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binary, configuration, service, and the node being Ready."""
    if not host.has(Role.WORKER):
        return
    c, name = context.cluster, host.name
    docker = c.runtime.kind == "docker"
    yield from context.binaries(host, "kubelet")
    own = layout.kubeconfig(kubelet.NAME)
    text = kubeconfig(
        c.node_url,
        context.secrets.cert("ca"),
        f"system:node:{host.node}",
        cert_file=pki_files.KUBELET_CLIENT,
        key_file=pki_files.KUBELET_CLIENT_KEY,
        cluster=c.name,
    )
    yield File(host=name, path=own, content=text, mode="0600")
    folder = c.kubelet_dir(host)
    yield DataDirectory(host=name, path=folder, mode="")
    chosen = folder != layout.KUBELET_DIR
    if chosen:
        yield folder_disk.noted(host, kubelet.NAME, folder)
    if any(access.login_file for access in c.runtime.registry_access.values()):
        text, path = registry.credentials(c, context.logins), CREDENTIALS.replace(layout.KUBELET_DIR, folder)
        yield File(host=name, path=path, content=text, mode="0600", secret=True)
    yield DataDirectory(host=name, path="/var/log/pods", mode="")
    yield DataDirectory(host=name, path="/var/log/containers", mode="")
    flags = kubelet.flags(c, host, context.minor)
    if "pod-infra-container-image" in flags and context.supply.pause_image and not c.runtime.pause_image:
        flags["pod-infra-container-image"] = context.supply.pause_image
    config = kubelet.config(c, host, context.of(host), context.minor)
    file = File(host=name, path=kubelet.CONFIG, content=yaml.dump(config), mode="0600")
    yield tried(file, "kubelet.service", "kubelet", flags, c.versions.kubernetes, flag="config")
    yield from service(
        context,
        host,
        "kubelet.service",
        description="Kubernetes kubelet",
        binary="kubelet",
        flags=flags,
        loads=[own, kubelet.CONFIG, pki_files.CA, pki_files.KUBELET_SERVER, pki_files.KUBELET_SERVER_KEY],
        after=["docker.service" if docker else "containerd.service"],
        pre=[folder_disk.own(kubelet.NAME, folder)] if chosen else [],
        # Pods outlive the kubelet's restart.
        kill_mode="process",
        between=one_runtime.emptied(c.node_url, host.node) if context.kept.runtime else "",
        environment={"PATH": client.SERVICE_PATH, **client.environment(c)},
        limit_nofile=min(1048576, context.of(host).nofile_limit),
    )
    url = f"{c.node_url}/api/v1/nodes/{host.node}"
    status = f"curl -gsf --noproxy '*' --connect-timeout 1 --max-time 3 --cacert {pki_files.CA} "
    status += f"--cert {pki_files.KUBELET_CLIENT} --key {pki_files.KUBELET_CLIENT_KEY} {url}"
    yield Ready(
        host=name,
        what="node",
        check=f"curl -sf --noproxy '*' --connect-timeout 1 --max-time 3 {kubelet.HEALTH} && {_says_ready(status)}",
        proof=runs("kubelet.service", "kubelet"),
        within=120,
        evidence=f"{status} | tr -d '\\n' | grep -o '\"conditions\": .*' | head -c 2000; echo; "
        f"{journal.last('kubelet.service')}",
        interval=0.3,
    )
    if context.kept.runtime:
        yield Ready(
            host=name,
            what="runtime of pods",
            check=f"{one_runtime.alone()} || exit 1\n{one_runtime.gate(c.node_url, host.node)}",
            within=OVER_S,
            evidence=one_runtime.evidence(c.node_url, host.node),
            interval=1.0,
        )


def _says_ready(status: str) -> str:
    """sh that succeeds when the node's own kubelet, as it runs now, has reported Ready.

    After a power cut the API server believes the report of before; a kubelet reports at its start, so only a
    report that is younger than its start counts. Both times are this host's.
    """
    ready = """'\\{[^{}]*"type":"Ready"[^{}]*\\}'"""
    return (
        f"c=$({status} | tr -d ' \\n' | grep -oE {ready}) && "
        """case "$c" in *'"status":"True"'*) ;; *) exit 1;; esac && """
        """t=${c##*'"lastHeartbeatTime":"'} && """
        """[ "$(date -d "${t%%'"'*}" +%s)" -ge "$(stat -c %Y """
        f"""{layout.LOADED}/kubelet.service.loaded)" ]"""
    )
