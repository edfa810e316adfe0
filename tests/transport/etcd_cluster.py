"""A real etcd in namespaces: each member on a host of its own, with our flags, certificates and paths."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster_programs import NEWEST, built
from programs import find
from segment import NET, Node, segment
from waiting import within

from quorate.component.etcd import flags
from quorate.pki import profiles
from quorate.pki.keyring import Keyring
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.secrets import Secrets
from quorate.transport.local import LocalTransport

OLD, NEW = "of Debian", "newest"
QUOTA = 16 * 2**20

SYSTEMCTL = """\
#!/bin/sh
# What the look at a host and a rest need of systemd: services whose state is a file.
cd /opt/services || exit 1
case $1 in
  show) for u; do case $u in *.service) w=$(cat "$u" 2>/dev/null || echo inactive)
    printf 'Id=%s\\nLoadState=loaded\\nActiveState=%s\\n\\n' "$u" "$w"; esac; done;;
  is-active) for u; do :; done; grep -qx active "$u" 2>/dev/null;;
  stop | --no-block) for u; do :; done; case $* in *start*) w=active;; *) w=inactive;; esac
    echo "$(date +%s%N) $w $u" >>calls; echo "$w" >"$u.new"; mv "$u.new" "$u";;
esac
"""


class Cell:
    """One host: its member of etcd, and what was done to its services."""

    def __init__(self, node: Node, programs: Path, env: dict[str, str]) -> None:
        self.node, self.env = node, {**os.environ, **env}
        self.services = node.folder / "services"
        self.services.mkdir()
        (node.folder / "pki").mkdir()
        (node.folder / "data").mkdir()
        (node.folder / "systemctl").write_text(SYSTEMCTL)
        (node.folder / "systemctl").chmod(0o755)
        seen = {
            "/opt/kubernetes/bin": programs,
            "/opt/services": self.services,
            profiles.ETCD_CA.rpartition("/")[0]: node.folder / "pki",
            "/var/lib/etcd": node.folder / "data",
        }
        inside = "for d in /etc /opt /var/lib; do mount -t tmpfs -o mode=755 tmpfs $d; done; "
        inside += "".join(f"mkdir -p {at}; mount --bind '{folder}' {at}; " for at, folder in seen.items())
        inside += f"mount --bind '{node.folder}/systemctl' /usr/bin/systemctl; exec \"$@\""
        enter = ("nsenter", f"--net=/proc/{node.pid}/ns/net", "--", "unshare", "--mount", "--")
        self.prefix = (*enter, "/bin/sh", "-ec", inside, "sh")
        self.member: subprocess.Popen[bytes] | None = None

    def begin(self, *argv: str, log: str) -> "subprocess.Popen[bytes]":
        with (self.node.folder / log).open("ab") as out:
            began = subprocess.Popen([*self.prefix, *argv], stdout=out, stderr=subprocess.STDOUT, env=self.env)
        self.node.running.append(began)
        return began

    def serve(self, unit: str, *, state: str = "active") -> None:
        (self.services / unit).write_text(f"{state}\n")

    @property
    def calls(self) -> list[tuple[int, str, str]]:
        """When which service came to which state."""
        path = self.services / "calls"
        words = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
        return [(int(when), state, unit) for when, state, unit in words]


class EtcdCluster:
    """Members e1, e2 ..., of which the first `masters` hosts have an API server, too: something that answers."""

    def __init__(self, cells: Sequence[Cell], masters: int, quota: int) -> None:
        self.cells = {cell.node.name: cell for cell in cells}
        roles = [(Role.ETCD, Role.CONTROL_PLANE) if n < masters else (Role.ETCD,) for n in range(len(cells))]
        given: dict[str, Any] = {
            "name": "c",
            "hosts": [
                {"name": cell.node.name, "address": cell.node.ip, "roles": [role.value for role in mine]}
                for cell, mine in zip(cells, roles, strict=True)
            ],
            "etcd": {"extra_flags": {"quota-backend-bytes": str(quota)}},
            "endpoint": {"address": "api.example"},
        }
        self.cluster = Cluster.model_validate(given)
        self.via = LocalTransport({cell.node.name: cell.prefix for cell in cells})
        pems = Keyring(self.cluster, {}, datetime.now(UTC), lambda id: id).complete()
        for host in self.cluster.hosts:
            self._certificates(pems, host)
            self.start(host.name)
            if host.has(Role.CONTROL_PLANE):
                self._api_server(host)

    def _certificates(self, pems: Secrets, host: Host) -> None:
        pki = self.cells[host.name].node.folder / "pki"
        (pki / "ca.crt").write_bytes(pems.cert("etcd-ca"))
        for name in ("server", "peer", "client"):
            (pki / f"{name}.crt").write_bytes(pems.cert(f"etcd-{name}", host.name))
            (pki / f"{name}.key").write_bytes(pems.key(f"etcd-{name}", host.name))

    def start(self, name: str) -> None:
        host, cell = self.cluster.host(name), self.cells[name]
        members = ",".join(f"{member.name}=https://{member.ip}:2380" for member in self.cluster.members)
        given = flags(self.cluster, host) | {"initial-cluster": members, "log-level": "warn"}
        argv = [f"--{flag}={value}" for flag, value in given.items()]
        cell.member = cell.begin("/opt/kubernetes/bin/etcd", *argv, log="etcd.log")
        cell.serve("etcd.service")

    def end(self, name: str) -> None:
        cell = self.cells[name]
        assert cell.member is not None
        cell.member.terminate()
        cell.member.wait(20)
        cell.serve("etcd.service", state="inactive")

    def _api_server(self, host: Host) -> None:
        cell = self.cells[host.name]
        cell.serve("kube-apiserver.service")
        pki = cell.node.folder / "pki"
        words = (host.ip, "6443", pki / "server.crt", pki / "server.key", cell.services / "kube-apiserver.service")
        cell.begin("python3", str(Path(__file__).with_name("ready_server.py")), *map(str, words), log="api.log")

    def sh(self, name: str, script: str) -> str:
        """What a script says on a host."""
        cell = self.cells[name]
        command = [*cell.prefix, "/bin/sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=cell.env)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def ready(self) -> bool:
        return all(self._healthy(name) for name in self.cells)

    def _healthy(self, name: str) -> bool:
        ask = "curl -gsf --noproxy '*' --max-time 2 http://127.0.0.1:2381/health || :"
        return '"health":"true"' in self.sh(name, ask)


@contextmanager
def etcd_cluster(folder: Path, which: str, *names: str, masters: int = 0, quota: int = QUOTA) -> Iterator[EtcdCluster]:
    """Members that answer, of Debian's release or the newest of all; gone afterwards."""
    programs, env = _programs(folder, which)
    with segment(folder, *names) as wire:
        made = EtcdCluster([Cell(wire.nodes[name], programs, env) for name in names], masters, quota)
        assert within(30, made.ready), [cell.node.said("etcd.log") for cell in made.cells.values()]
        yield made


def _programs(folder: Path, which: str) -> tuple[Path, dict[str, str]]:
    if which == NEW:
        return built("etcd", NEWEST.etcd), {}
    place, env = folder / "programs", {}
    place.mkdir()
    for name in ("etcd", "etcdctl"):
        path, more = find(name)
        (place / name).symlink_to(path)
        env |= more
    return place, env


__all__ = ["NET", "NEW", "OLD", "QUOTA", "EtcdCluster", "etcd_cluster"]
