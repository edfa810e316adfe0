"""Hosts of one network segment, as namespaces around a bridge, with real keepalived."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from programs import find
from waiting import within

from quorate.component import system, virtual_ip
from quorate.component.context import Context
from quorate.resource.file import File
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import BALANCER_DOWN, BALANCER_HUNG, ENDPOINT_CHECK, SYSCTLS
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

NET = "10.77.1"
KEY = "net.ipv4.conf.all.promote_secondaries"


@dataclass
class Node:
    """One host."""

    name: str
    number: int
    pid: int
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def ip(self) -> str:
        return f"{NET}.{self.number}"

    def begin(self, *argv: str, log: str = "log") -> subprocess.Popen[bytes]:
        _, more = find("keepalived")
        with (self.folder / log).open("wb") as out:
            command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]
            began = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **more})
        self.running.append(began)
        return began

    def sh(self, script: str) -> str:
        command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", "/bin/sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def keepalived(self, text: str) -> subprocess.Popen[bytes]:
        """keepalived with a configuration of ours, or of somebody else."""
        program, _ = find("keepalived")
        self.configure(text)
        files = [f"--{name}={self.folder}/{name}" for name in ("pid", "vrrp_pid")]
        flags = ["--dont-fork", "--vrrp", "--log-console", "--no-syslog", "--log-detail"]
        return self.begin(program, *flags, f"--use-file={self.folder}/conf", *files)

    def configure(self, text: str) -> None:
        """The text with files of this folder in the place of a host's."""
        for path in (BALANCER_DOWN, BALANCER_HUNG):
            own = self.folder / path.rpartition("/")[2]
            own.write_text("0\n")
            text = text.replace(path, str(own))
        (self.folder / "conf").write_text(text.replace(ENDPOINT_CHECK, "/bin/true"))

    def addresses(self) -> set[str]:
        return set(re.findall(r" inet (\S+)", self.sh("ip -4 -o address show scope global")))

    def on(self, interface: str) -> set[str]:
        return set(re.findall(r" inet (\S+)", self.sh(f"ip -4 -o address show dev {interface}")))

    def said(self, log: str = "log") -> str:
        return (self.folder / log).read_text()


class Segment:
    """The wires, in a namespace of their own, and who is on them."""

    def __init__(self, switch: int) -> None:
        self.switch = switch
        self.nodes: dict[str, Node] = {}

    def cable(self, name: str, interface: str, address: str = "") -> None:
        """An interface of a host, on the wire of the interface's name."""
        node, far, wire = self.nodes[name], f"{interface}-{name}", f"wire-{interface}"
        self._sh(
            f"ip link show {wire} >/dev/null 2>&1 || "
            f"{{ ip link add {wire} type bridge mcast_snooping 0; ip link set {wire} up; }}\n"
            f"ip link add {far} type veth peer name {interface} netns {node.pid}; ip link set {far} master {wire} up"
        )
        node.sh(f"ip link set {interface} up")
        if address:
            node.sh(f"ip address add {address} dev {interface}")

    def _sh(self, script: str) -> None:
        subprocess.run(["nsenter", f"--net=/proc/{self.switch}/ns/net", "/bin/sh", "-ec", script], check=True)


@contextmanager
def segment(folder: Path, *names: str) -> Iterator[Segment]:
    """Hosts 11, 12 ... of 10.77.1.0/24; gone afterwards with all that runs on them."""
    own = os.readlink("/proc/self/ns/net")
    holders = [subprocess.Popen(["unshare", "--net", "sleep", "600"]) for _ in ("", *names)]
    made = Segment(holders[0].pid)
    try:
        for holder in holders:
            assert within(20, lambda at=f"/proc/{holder.pid}/ns/net": os.readlink(at) != own)  # type: ignore[misc]
        for number, (name, holder) in enumerate(zip(names, holders[1:], strict=True), 11):
            (folder / name).mkdir()
            node = made.nodes[name] = Node(name, number, holder.pid, folder / name)
            made.cable(name, "eth0", f"{node.ip}/24")
            node.sh("ip link set lo up")
        yield made
    finally:
        for node in made.nodes.values():
            for process in node.running:
                process.terminate()
            for process in node.running:
                process.wait(10)
        for holder in holders:
            holder.kill()
            holder.wait()


def context(facts: Mapping[str, HostFacts] | None = None, *, lone: bool = False, **changes: object) -> Context:
    """A cluster with balancers m1 and m2, or m1 alone."""
    roles = ["control-plane", "etcd", "load-balancer"]
    hosts: list[dict[str, object]] = [
        {"name": "m1", "address": f"{NET}.11", "roles": roles},
        {"name": "m2", "address": f"{NET}.12", "roles": roles[: 2 if lone else 3]},
        {"name": "m3", "address": f"{NET}.13", "roles": roles[:2]},
    ]
    given: dict[str, object] = {
        "name": "c",
        "hosts": hosts,
        "endpoint": {"vip": f"{NET}.100", "port": 8443},
        **changes,
    }
    cluster = Cluster.model_validate(given)
    known = dict.fromkeys(("m1", "m2", "m3"), HostFacts(sysctls=frozenset({KEY})))
    return Context(cluster, Facts({**known, **(facts or {})}), Supply(), Secrets({}, {}), table("1.36"))


def files(given: Context, name: str) -> dict[str, str]:
    """What the balancer has on its disk, by path."""
    host = given.cluster.host(name)
    resources = [*virtual_ip.resources(given, host), *system.resources(given, host)]
    return {
        resource.path: resource.content
        for resource in resources
        if isinstance(resource, File) and isinstance(resource.content, str)
    }


def settings(given: Context, name: str) -> str:
    """The kernel settings as sh."""
    lines = files(given, name).get(SYSCTLS, "").splitlines()
    keys = (line.split(" = ") for line in lines if line.startswith(KEY))
    return "\n".join(f"echo {value} >/proc/sys/{key.replace('.', '/')}" for key, value in keys) or ":"
