"""The container runtime of the workers: containerd, or Docker (up to Kubernetes 1.23)."""

import json
from collections.abc import Iterator, Mapping

from quorate.component import folder_disk
from quorate.component.context import Context
from quorate.component.service import service
from quorate.component.settings import client, registry
from quorate.component.turns import Enough, Turns
from quorate.render import containers, toml, yaml
from quorate.resource.file import DataDirectory, Directory, File
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.spec.cluster import RUNTIMES, Cluster, Host, Role
from quorate.spec.layout import BIN, CNI_BIN, CNI_CONF, CONTAINERD_SOCKET
from quorate.spec.outward import variables
from quorate.spec.versions import containerd_config

NAME = "runtime"
AFTER: tuple[str, ...] = ("system",)
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.CANARY

CONTAINERD = "/etc/containerd/config.toml"
HOSTS = "/etc/containerd/certs.d"
AUTHORITIES = "/etc/containerd/ca"
DOCKER = "/etc/docker/daemon.json"
CRICTL = "/etc/crictl.yaml"
CGROUP_DRIVER = "systemd"
"""systemd owns the cgroups on every host that we support; two managers of one tree fight."""
PROXY = "proxy.env"
"""Beside the configuration of who pulls images: its way out, with the login if there is one."""
PROXIED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""The names in it, which Go looks at first."""
PLAIN_RUNC = "/opt/kubernetes/runc-plain"
"""runc without what a host refuses: only where a fact says so."""


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """Binaries, configuration, services."""
    if not host.has(Role.WORKER):
        return
    parts = context.supply.parts
    kind = context.cluster.runtime.kind
    libraries = sorted(
        {name for part in ("containerd", "runc", kind) for name in context.supply.libraries.get(part, ())}
    )
    yield from context.packages(host, "libraries of the runtime", *libraries)
    names = [*parts.get("containerd", ("containerd", "containerd-shim-runc-v2", "ctr")), "runc"]
    if kind == "docker":
        names += parts.get("docker", ("dockerd", "docker", "docker-proxy", "docker-init"))
    linked = ("ctr", *(("docker",) if kind == "docker" else ()))
    yield from context.binaries(host, *dict.fromkeys(names), linked=linked)
    if kind == "containerd" and "crictl" in context.supply.binaries:
        yield from context.binaries(host, "crictl", linked=("crictl",))
        text = yaml.dump({"runtime-endpoint": f"unix://{CONTAINERD_SOCKET}"})
        yield File(host=host.name, path=CRICTL, content=text)
    yield Undo(host=host.name, what="containers", script=_leave(context, host))
    yield Directory(host=host.name, path="/etc/containerd", purge=True)
    yield from _containerd(context, host)
    if kind == "docker":
        yield from _docker(context, host)


def _containerd(context: Context, host: Host) -> Iterator[Resource]:
    c = context.cluster
    yield File(host=host.name, path=CONTAINERD, content=toml.dump(containerd(context, host)))
    yield from _registries(context, host)
    # With Docker it is Docker that pulls.
    way = [f"/etc/containerd/{PROXY}"] if context.proxy and c.runtime.kind == "containerd" else []
    yield from _proxy(context, host, way)
    folder = _containerd_dir(c, host)
    yield DataDirectory(host=host.name, path=folder, mode="")
    chosen = folder != RUNTIMES["containerd"]
    if chosen:
        yield folder_disk.noted(host, "containerd", folder)
    yield DataDirectory(host=host.name, path="/opt/containerd", mode="")
    yield from service(
        context,
        host,
        "containerd.service",
        description="containerd container runtime",
        binary="containerd",
        exec_start=[],
        loads=[CONTAINERD, *way],
        type="notify",
        environment={"PATH": client.SERVICE_PATH},
        environment_files=way,
        proxied=PROXIED if way else (),
        pre=[folder_disk.own("containerd", folder)] if chosen else [],
        # Containers outlive the daemon's restart.
        kill_mode="process",
        delegate=True,
        limit_nofile=min(1048576, context.of(host).nofile_limit),
        extra={"TasksMax": "infinity"},
    )


def _containerd_dir(c: Cluster, host: Host) -> str:
    """containerd's own folder: below Docker it keeps no images."""
    return c.runtime_dir(host) if c.runtime.kind == "containerd" else RUNTIMES["containerd"]


def _proxy(context: Context, host: Host, files: list[str]) -> Iterator[Resource]:
    """The file of the way out."""
    found = variables(context.cluster, context.proxy)
    text = "".join(f"{name.upper()}={value}\n" for name, value in found.items())
    for path in files:
        yield File(host=host.name, path=path, content=text, mode="0600", secret="@" in context.proxy)


def _registries(context: Context, host: Host) -> Iterator[Resource]:
    """How containerd asks registries. It reads this at each pull."""
    c = context.cluster
    yield Directory(host=host.name, path=HOSTS, purge=True)
    authorities: dict[str, str] = {}
    for server, access in c.runtime.registry_access.items():
        if access.ca_file:
            path = f"{AUTHORITIES}/{server.replace(':', '_')}.crt"
            authorities[server] = path
            yield File(host=host.name, path=path, content=context.texts[f"ca-of {server}"])
    if authorities:
        yield Directory(host=host.name, path=AUTHORITIES, purge=True)
    for name in registry.registries(c):
        found = registry.hosts(c, name, context.logins, authorities)
        secret = any("header" in about for about in found.values())
        mode = "0600" if secret else "0644"
        text = toml.dump({"host": found})
        yield File(host=host.name, path=f"{HOSTS}/{name}/hosts.toml", content=text, mode=mode, secret=secret)
        yield Directory(host=host.name, path=f"{HOSTS}/{name}", purge=True)


def containerd(context: Context, host: Host) -> dict[str, object]:
    """containerd's configuration; version 3 moved the keys of the CRI plugin."""
    facts, c = context.of(host), context.cluster
    version = containerd_config(context.supply.versions.get("containerd", context.minor.containerd))
    pause = c.runtime.pause_image or context.supply.pause_image or context.minor.pause_image
    runc: dict[str, object] = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": CGROUP_DRIVER == "systemd", "BinaryName": f"{BIN}/runc"},
    }
    runtimes = {"default_runtime_name": "runc", "runtimes": {"runc": runc}}
    cni = {"bin_dir": CNI_BIN, "conf_dir": CNI_CONF}
    if version == 3:
        plugins: dict[str, object] = {
            "io.containerd.cri.v1.images": {
                "pinned_images": {"sandbox": pause},
                "registry": {"config_path": HOSTS},
            },
            "io.containerd.cri.v1.runtime": {
                "restrict_oom_score_adj": not facts.oom_adjustable,
                "containerd": runtimes,
                "cni": {"bin_dirs": [CNI_BIN], "conf_dir": CNI_CONF},
            },
        }
    else:
        plugins = {
            "io.containerd.grpc.v1.cri": {
                "sandbox_image": pause,
                "restrict_oom_score_adj": not facts.oom_adjustable,
                "containerd": runtimes,
                "cni": cni,
                "registry": {"config_path": HOSTS},
            }
        }
    config: dict[str, object] = {
        "version": version,
        "root": _containerd_dir(c, host),
        "state": "/run/containerd",
    }
    config["grpc"] = {"address": CONTAINERD_SOCKET}
    config["oom_score"] = -999 if facts.oom_adjustable else 0
    return {**config, "plugins": plugins}


def _docker(context: Context, host: Host) -> Iterator[Resource]:
    facts, runtime = context.of(host), context.cluster.runtime
    config: dict[str, object] = {
        "exec-opts": [f"native.cgroupdriver={CGROUP_DRIVER}"],
        # Pods get their network from CNI: Docker has no bridge and writes no firewall rules.
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "live-restore": True,
        "storage-driver": "overlay2",
        "log-driver": "json-file",
        "log-opts": {
            "max-size": runtime.log_max_size.removesuffix("i").lower(),
            "max-file": str(runtime.log_max_files),
        },
        "max-concurrent-downloads": 10,
        "containerd": CONTAINERD_SOCKET,
    }
    folder = context.cluster.runtime_dir(host)
    chosen = folder != RUNTIMES["docker"]
    if chosen:
        config["data-root"] = folder
    if mirrors := [url for urls in runtime.registry_mirrors.values() for url in urls]:
        config["registry-mirrors"] = mirrors
    if runtime.insecure_registries:
        config["insecure-registries"] = list(runtime.insecure_registries)
    if not facts.oom_adjustable:
        # Docker always asks for a score below our own, which this host's kernel refuses.
        config["default-runtime"] = "runc-plain"
        config["runtimes"] = {"runc-plain": {"path": PLAIN_RUNC}}
        yield File(host=host.name, path=PLAIN_RUNC, content=containers.PLAIN_RUNC, mode="0755")
    yield Directory(host=host.name, path="/etc/docker", purge=True)
    yield File(host=host.name, path=DOCKER, content=json.dumps(config, indent=2) + "\n")
    for server, access in runtime.registry_access.items():
        if access.ca_file:
            place = f"/etc/docker/certs.d/{server}"
            yield File(host=host.name, path=f"{place}/ca.crt", content=context.texts[f"ca-of {server}"])
            yield Directory(host=host.name, path=place, purge=True)
    way = [f"/etc/docker/{PROXY}"] if context.proxy else []
    yield from _proxy(context, host, way)
    yield DataDirectory(host=host.name, path=folder, mode="")
    if chosen:
        yield folder_disk.noted(host, "docker", folder)
    # Docker's shims live in containerd's cgroup; their own state goes with it.
    yield from service(
        context,
        host,
        "docker.service",
        description="Docker application container engine",
        binary="dockerd",
        exec_start=["-H", "unix:///var/run/docker.sock"],
        loads=[DOCKER, *way],
        type="notify",
        environment={"PATH": client.SERVICE_PATH},
        environment_files=way,
        proxied=PROXIED if way else (),
        pre=[folder_disk.own("docker", folder)] if chosen else [],
        after=["containerd.service"],
        requires=["containerd.service"],
        kill_mode="process",
        delegate=True,
        limit_nofile=min(1048576, facts.nofile_limit),
        extra={"TasksMax": "infinity"},
    )


def _leave(context: Context, host: Host) -> str:
    """What ends all containers of a host, whose folders the file may have chosen."""
    c = context.cluster
    folders = {c.kubelet_dir(host), c.runtime_dir(host), "/run/containerd", *RUNTIMES.values(), "/run/docker"}
    return containers.leave(folders)
