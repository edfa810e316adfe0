"""Three hosts with real members of etcd: each has folders of its own, all are in one network that nobody else is in."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import programs
from cluster_programs import of_line
from waiting import within
from worlds import supply

from quorate.component.context import Context
from quorate.execute import batch
from quorate.execute.observe import look
from quorate.pki import profiles
from quorate.pki.keyring import Keyring
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster, Host, Role, Versions
from quorate.spec.facts import Facts
from quorate.spec.layout import BIN
from quorate.spec.versions import table
from quorate.transport.local import LocalTransport

SEEN = ("var/lib/quorate", "run/quorate", "var/lib/etcd", "etc/etcd/pki", BIN[1:], "usr/local/sbin")
SYSTEMCTL = """#!/bin/sh
case $1 in is-active) [ ! -e /run/quorate/etcd-runs ] || { echo active; exit 0; }; echo inactive; exit 3;; esac
"""


def found(line: str, work: Path) -> Path:
    """A folder with etcd's programs of a line, where the hosts are: Debian's 3.4, or the newest of a later line."""
    place = work / f"etcd-{line}"
    if line != "3.4":
        return Path(shutil.copytree(of_line("etcd", line), place))
    place.mkdir()
    for name in ("etcd", "etcdctl"):
        path, env = programs.find(name)
        export = "".join(f"export {each}='{value}'\n" for each, value in env.items())
        (place / name).write_text(f'#!/bin/sh\n{export}exec {path} "$@"\n')
        (place / name).chmod(0o755)
    return place


def cluster(*names: str) -> Cluster:
    hosts = tuple(
        Host(name=name, address=IPv4Address(f"127.0.9.{number}"), roles=(Role.ETCD, Role.CONTROL_PLANE, Role.WORKER))
        for number, name in enumerate(names, 1)
    )
    return Cluster(name="c", versions=Versions(kubernetes="1.20.2"), hosts=hosts)


@dataclass
class Hosts:
    """The hosts, and what runs there."""

    work: Path
    bin: Path
    stack: ExitStack
    cluster: Cluster = field(default_factory=lambda: cluster("e1", "e2", "e3"))
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.net = f"qr-etcd-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.net], check=True)
        self.stack.callback(subprocess.run, ["ip", "netns", "delete", self.net], check=False)
        self.stack.callback(lambda: [self.stop(name) for name in list(self.running)])
        subprocess.run(["ip", "-n", self.net, "link", "set", "lo", "up"], check=True)
        self.secrets = Keyring(self.cluster, {}, datetime.now(UTC), lambda id: id).complete()
        self.via = LocalTransport({host.name: self._inside(host.name) for host in self.cluster.hosts})

    def _inside(self, name: str) -> tuple[str, ...]:
        root = self.work / name
        if not root.exists():
            for path in SEEN:
                (root / path).mkdir(parents=True)
            for program in self.bin.iterdir():
                os.link(program, root / BIN[1:] / program.name)
            (root / "usr/local/sbin/systemctl").write_text(SYSTEMCTL)
            (root / "usr/local/sbin/systemctl").chmod(0o755)
            pems = {
                profiles.ETCD_CA: self.secrets.cert("etcd-ca"),
                profiles.ETCD_SERVER: self.secrets.cert("etcd-server", name),
                profiles.ETCD_SERVER_KEY: self.secrets.key("etcd-server", name),
                profiles.ETCD_PEER: self.secrets.cert("etcd-peer", name),
                profiles.ETCD_PEER_KEY: self.secrets.key("etcd-peer", name),
                profiles.ETCD_CLIENT: self.secrets.cert("apiserver-etcd-client", name),
                profiles.ETCD_CLIENT_KEY: self.secrets.key("apiserver-etcd-client", name),
            }
            for path, pem in pems.items():
                (root / path[1:]).write_bytes(pem)
        # The parents get a throw-away layer, so that not even an empty folder is left on this machine.
        script = f"cp /etc/passwd /etc/group /etc/nsswitch.conf {root}/; for d in /etc /var/lib /run /opt /usr/local; "
        script += f"do mount -t tmpfs -o mode=755 tmpfs $d; done; cp {root}/passwd {root}/group "
        script += (
            f"{root}/nsswitch.conf /etc/; grep -q ^etcd: /etc/passwd || echo 'etcd:x:0:0::/:/bin/sh' >>/etc/passwd; "
        )
        script += "grep -q ^etcd: /etc/group || echo 'etcd:x:0:' >>/etc/group; "
        script += "".join(f"mkdir -p /{path}; mount --bind '{root}/{path}' /{path}; " for path in SEEN)
        script += 'PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH; exec "$@"'
        return ("ip", "netns", "exec", self.net, "unshare", "--mount", "--", "/bin/sh", "-ec", script, "sh")

    def context(self, *names: str) -> Context:
        """What components are told, of these hosts alone if some are named."""
        hosts = tuple(host for host in self.cluster.hosts if not names or host.name in names)
        given = supply("1.20.2", "containerd", images=False)
        own = {name: replace(given.binaries["etcd"]) for name in ("etcdutl", "etcdctl")}
        given = replace(given, binaries={**given.binaries, **own})
        now = self.cluster.model_copy(update={"hosts": hosts})
        return Context(now, Facts({}), given, self.secrets, table("1.20.2"))

    def start(self, name: str, data: str = "/var/lib/etcd", token: str = "first") -> None:
        """Start the host's member."""
        host, members = self.cluster.host(name), self.cluster.members
        flags = {
            "name": name,
            "data-dir": data,
            "listen-peer-urls": f"https://{host.ip}:2380",
            "listen-client-urls": f"https://{host.ip}:2379",
            "initial-advertise-peer-urls": f"https://{host.ip}:2380",
            "advertise-client-urls": f"https://{host.ip}:2379",
            "initial-cluster": ",".join(f"{each.name}=https://{each.ip}:2380" for each in members),
            "initial-cluster-token": token,
            # A machine that is busy elects nobody else for that.
            "heartbeat-interval": "250",
            "election-timeout": "2500",
            "trusted-ca-file": profiles.ETCD_CA,
            "cert-file": profiles.ETCD_SERVER,
            "key-file": profiles.ETCD_SERVER_KEY,
            "client-cert-auth": "true",
            "peer-trusted-ca-file": profiles.ETCD_CA,
            "peer-cert-file": profiles.ETCD_PEER,
            "peer-key-file": profiles.ETCD_PEER_KEY,
            "peer-client-cert-auth": "true",
        }
        command = [f"{BIN}/etcd", *(f"--{flag}={value}" for flag, value in flags.items())]
        with (self.work / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen([*self._inside(name), *command], stdout=log, stderr=log)
        (self.work / name / "run/quorate/etcd-runs").touch()

    def stop(self, name: str) -> None:
        """Kill it, as a power cut would."""
        member = self.running.pop(name)
        member.kill()
        member.wait()
        (self.work / name / "run/quorate/etcd-runs").unlink(missing_ok=True)

    def ctl(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """etcdctl at one member."""
        keys = (f"--cacert={profiles.ETCD_CA}", f"--cert={profiles.ETCD_CLIENT}", f"--key={profiles.ETCD_CLIENT_KEY}")
        at = f"--endpoints=https://{self.cluster.host(name).ip}:2379"
        command = [*self._inside(name), "env", "ETCDCTL_API=3", f"{BIN}/etcdctl", *keys, at, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def get(self, name: str, key: str) -> str:
        return self.ctl(name, "get", key, "--print-value-only").stdout.strip()

    def healthy(self, *names: str) -> bool:
        return within(60, lambda: all(self.ctl(name, "endpoint", "health").returncode == 0 for name in names))

    def status(self, name: str) -> Mapping[str, object]:
        (told,) = json.loads(self.ctl(name, "endpoint", "status", "-w", "json").stdout)
        return dict(told["Status"])

    def revision(self, name: str) -> int:
        header = self.status(name)["header"]
        assert isinstance(header, dict)
        return int(header["revision"])

    async def state(self, resource: Resource) -> Mapping[str, str]:
        states, lost = await look([resource], self.via)
        assert not lost
        return states[resource.key] or {}

    async def converge(self, resource: Resource) -> None:
        for action in resource.converge(await self.state(resource)):
            await self.via.run(resource.host, batch.upload(action), blob=action.blob)

    async def sh(self, name: str, script: str) -> str:
        """Run sh on a host."""
        return await self.via.run(name, script)

    def cut_off(self, name: str, script: str, seconds: float) -> None:
        """Run sh on a host, and kill it with all that it started."""
        child = subprocess.Popen([*self._inside(name), "/bin/sh", "-c", script], start_new_session=True)
        time.sleep(seconds)
        os.killpg(child.pid, 9)
        child.wait()
