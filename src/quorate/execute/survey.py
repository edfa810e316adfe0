"""What every host says of itself right now: services, health, addresses, files, certificates; one script per host.

`status` shows it and `verify` judges it; nothing is changed. No key ever leaves a host: of PEM files only the
certificates are read, of kubeconfigs only the server and the certificate.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from quorate.component.balancer import UPSTREAMS_LIST
from quorate.component.etcd import etcdctl
from quorate.core import CommandFailed, Transport, TransportError
from quorate.pki.issue import CertInfo, PkiError, inspect
from quorate.render import haproxy, upstreams
from quorate.render.sh import quote
from quorate.resource import ask
from quorate.spec import layout, processes
from quorate.spec.cluster import Cluster, Host
from quorate.spec.ports import BALANCER_STATE

ANSWER_WITHIN_S = 30.0
"""Seconds for a host's whole answer; a healthy one takes about one."""


@dataclass(frozen=True)
class Service:
    """One systemd service."""

    state: str
    """active, activating, deactivating, failed, inactive or absent."""
    since: datetime | None = None
    """Since when it is active, by the host's clock."""
    restarts: int = 0
    """How often systemd had to start it again."""
    healthy: bool | None = None
    """What its own health endpoint says; None for one that has none."""

    @property
    def ok(self) -> bool:
        """Whether it runs and nothing speaks against it."""
        return self.state == "active" and self.healthy is not False


@dataclass(frozen=True)
class Certificate:
    """A certificate that lies on a host: a file, or inside a kubeconfig."""

    path: str
    pem: str
    info: CertInfo


@dataclass(frozen=True)
class View:
    """One host, as it says."""

    now: datetime
    """Its clock."""
    services: Mapping[str, Service] = field(default_factory=dict)
    """By unit name; all that the host should have."""
    addresses: frozenset[str] = frozenset()
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Mode (four digits) and owner of every file under the folders of our configuration and keys."""
    certificates: tuple[Certificate, ...] = ()
    servers: Mapping[str, str] = field(default_factory=dict)
    """API server URL by path of kubeconfig."""
    etcd_servers: tuple[str, ...] = ()
    """What the running API server was started with."""
    left_out: tuple[str, ...] = ()
    """API servers that the host's balancer does not use at the moment: nginx' as `ADDRESS:PORT`, haproxy's by name."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Answers to the caller's own questions."""


def units(cluster: Cluster, host: Host) -> tuple[str, ...]:
    """The services that a host must have, in the order in which they are built."""
    return tuple(process.unit for process in processes.on(cluster, host))


def health(cluster: Cluster, host: Host) -> dict[str, str]:
    """sh by unit name that succeeds when the service answers, within 3 s."""
    get = "curl -gsfk --noproxy '*' -o /dev/null --max-time 3"
    checks = {
        process.unit: f"{get} {process.health(cluster, host)}"
        for process in processes.on(cluster, host)
        if process.health
    }
    # A member is asked as its clients do.
    member = {processes.ETCD: f"{etcdctl(host)} --command-timeout=3s endpoint health"}
    return {unit: (member | checks)[unit] for unit in units(cluster, host) if unit in member | checks}


def questions(cluster: Cluster, host: Host) -> dict[str, str]:
    """The questions to a host by name, each a piece of sh."""
    names = " ".join(quote(unit) for unit in units(cluster, host))
    asked = "\n".join(
        f"( if {check} >/dev/null 2>&1; then echo {unit} yes; else echo {unit} no; fi ) &"
        for unit, check in health(cluster, host).items()
    )
    left_out = ":"
    if cluster.balances(host):
        masters = [master.name for master in cluster.masters]
        nginx = cluster.load_balancer.kind == "nginx"
        left_out = upstreams.left_out(UPSTREAMS_LIST) if nginx else haproxy.left_out(masters, BALANCER_STATE)
    kubelet_dir = cluster.kubelet_dir(host)
    configs = f"{layout.KUBERNETES}/*.kubeconfig"
    pems = f"{layout.PKI}/*.crt {layout.ETCD_PKI}/*.crt {kubelet_dir}/pki/*-current.pem"
    return {
        "clock": "date +%s",
        "units": "TZ=UTC systemctl show --no-pager -p Id,LoadState,ActiveState,ActiveEnterTimestamp,NRestarts "
        f"-- {names}",
        "health": f"{asked}\nwait",
        "addresses": "ip -4 -o addr show",
        "files": f"find {layout.KUBERNETES} {layout.ETCD_PKI} {kubelet_dir}/pki /root/.kube "
        "-type f -exec stat -c '%a %U:%G %n' -- {} +",
        "certificates": f"for f in {pems}; do [ -e \"$f\" ] || continue; echo \"file $f\"; "
        "sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p' \"$f\"; done",
        "users": f"for f in {configs}; do [ -e \"$f\" ] || continue; "
        "sed -n \"s|^ *client-certificate-data: *|$f |p\" \"$f\"; done",
        "servers": f"for f in {configs}; do [ -e \"$f\" ] || continue; "
        "sed -n \"s|^ *server: *|$f |p\" \"$f\"; done",
        "etcd": "p=$(systemctl show -p MainPID --value kube-apiserver.service); [ \"${p:-0}\" != 0 ] && "
        "tr '\\0' '\\n' <\"/proc/$p/cmdline\" | sed -n 's/^--etcd-servers=//p'",
        "upstreams": left_out,
    }  # fmt: skip


async def survey(
    cluster: Cluster,
    via: Transport,
    more: Callable[[Host], Mapping[str, str]] = lambda _host: {},
    *,
    only: Collection[str] = (),
    in_turn: bool = False,
) -> tuple[dict[str, View], dict[str, str]]:
    """The view of every host by name, and why the others gave none.

    `more` are questions of the caller. With `only`, no others than those of `questions` are asked, and what they
    would have told is empty. `in_turn`: one host after the other, where all at once would be felt.
    """
    views: dict[str, View] = {}
    lost: dict[str, str] = {}

    async def one(host: Host) -> None:
        own, every = dict(more(host)), questions(cluster, host)
        asked = {name: script for name, script in every.items() if not only or name in only} | own
        scripts = {"script": list(asked.values())}
        try:
            output = await via.run(host.name, ask.script(scripts), timeout=ANSWER_WITHIN_S)
        except TransportError as error:
            lost[host.name] = error.message
        except CommandFailed as error:
            lost[host.name] = str(error)
        else:
            said = dict.fromkeys(every, "") | dict(zip(asked, ask.answers(scripts, output)["script"], strict=True))
            views[host.name] = parse(units(cluster, host), said, {name: said[name] for name in own})

    if in_turn:
        for host in cluster.hosts:
            await one(host)
    else:
        await asyncio.gather(*(one(host) for host in cluster.hosts))
    return views, lost


def parse(wanted: tuple[str, ...], said: Mapping[str, str], more: Mapping[str, str]) -> View:
    """A host's answers as a view."""
    clock = said["clock"].strip()
    files = (line.split(" ", 2) for line in said["files"].splitlines() if line.count(" ") >= 2)
    return View(
        now=datetime.fromtimestamp(int(clock), UTC) if clock.isdigit() else datetime.now(UTC),
        services=_services(wanted, said["units"], said["health"]),
        addresses=frozenset(_address(line) for line in said["addresses"].splitlines() if " inet " in line),
        files={path: (mode.zfill(4), owner) for mode, owner, path in files},
        certificates=tuple(certificates(said["certificates"], said["users"])),
        servers=dict(_pairs(said["servers"])),
        etcd_servers=tuple(url for url in said["etcd"].strip().split(",") if url),
        left_out=tuple(said["upstreams"].split()),
        more=more,
    )


def _address(line: str) -> str:
    return line.split(" inet ")[1].split()[0].partition("/")[0]


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(left, right) for left, _, right in (line.partition(" ") for line in text.splitlines()) if right]


def _services(wanted: tuple[str, ...], shown: str, answers: str) -> dict[str, Service]:
    healthy = {unit: word == "yes" for unit, word in _pairs(answers)}
    found: dict[str, Service] = dict.fromkeys(wanted, Service("absent"))
    for block in shown.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        unit = fields.get("Id", "")
        if unit not in found or fields.get("LoadState") == "not-found":
            continue
        state, restarts = fields.get("ActiveState", "").replace("reloading", "active"), fields.get("NRestarts", "")
        since = _time(fields.get("ActiveEnterTimestamp", "")) if state == "active" else None
        count = int(restarts) if restarts.isdigit() else 0
        found[unit] = Service(state, since, count, healthy.get(unit))
    return found


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
    except ValueError:
        return None


def certificates(files: str, users: str) -> list[Certificate]:
    """What can be read of the answers to the questions `certificates` and `users`; a damaged certificate is a matter of
    `plan`, which sees its digest differ.
    """
    pems: list[tuple[str, str]] = []
    for block in f"\n{files}".split("\nfile ")[1:]:
        path, _, text = block.partition("\n")
        pems.append((path, text))
    for path, data in _pairs(users):
        try:
            pems.append((path, base64.b64decode(data, validate=True).decode("ascii")))
        except (binascii.Error, UnicodeDecodeError):
            continue
    found = []
    for path, text in pems:
        try:
            found.append(Certificate(path, text, inspect(text.encode())))
        except PkiError:
            continue
    return found
