"""etcd: the quorum store, one member on each etcd host."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from quorate.component import etcd_disk, membership
from quorate.component.context import Context
from quorate.component.service import runs, service
from quorate.component.settings import merged
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.pki import profiles
from quorate.render import journal
from quorate.render.etcd_disk import JOIN
from quorate.resource.file import DataDirectory, File
from quorate.resource.resource import Company, Resource
from quorate.resource.system import User
from quorate.resource.unit import Ready, Unit
from quorate.spec import tls
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.secrets import ETCD_TOKEN
from quorate.spec.timing import timing

NAME = "etcd"
AFTER: tuple[str, ...] = ("system", "trust")
MEETS: Mapping[str, Enough] = {}
TURNS = Turns.STRICT

UNIT = "etcd.service"
BOOTSTRAP = "/etc/etcd/bootstrap.env"
"""What only a member without data reads. It names all members, so it is no reason to restart one."""
HEALTH = "http://127.0.0.1:2381/health"
LOADS = (
    profiles.ETCD_CA,
    profiles.ETCD_SERVER,
    profiles.ETCD_SERVER_KEY,
    profiles.ETCD_PEER,
    profiles.ETCD_PEER_KEY,
)


def flags(c: Cluster, host: Host) -> dict[str, str]:
    """Flags of one member."""
    clocks = timing(c)
    flags = {
        "name": host.name,
        "data-dir": c.etcd.data_dir,
        "listen-peer-urls": f"https://{host.ip}:2380",
        "listen-client-urls": f"https://{host.ip}:2379,https://127.0.0.1:2379",
        "initial-advertise-peer-urls": f"https://{host.ip}:2380",
        "advertise-client-urls": f"https://{host.ip}:2379",
        # /health and /metrics without a certificate, for this host alone.
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "trusted-ca-file": profiles.ETCD_CA,
        "cert-file": profiles.ETCD_SERVER,
        "key-file": profiles.ETCD_SERVER_KEY,
        "client-cert-auth": "true",
        "peer-trusted-ca-file": profiles.ETCD_CA,
        "peer-cert-file": profiles.ETCD_PEER,
        "peer-key-file": profiles.ETCD_PEER_KEY,
        "peer-client-cert-auth": "true",
        "cipher-suites": ",".join(tls.CIPHER_SUITES),
        "heartbeat-interval": str(clocks.heartbeat_ms),
        "election-timeout": str(clocks.election_ms),
        # Who was cut off asks before he stands: in 3.4 he comes back with a higher term, and his return is an outage.
        # Who asks has not written anything yet, so two seldom stand at once.
        "pre-vote": "true",
        "quota-backend-bytes": str(c.etcd.quota_bytes),
        "logger": "zap",
    }
    if c.etcd.extra_flags.get("tls-min-version") == "TLS1.3":
        # They can't be chosen then, and etcd refuses to be told any.
        del flags["cipher-suites"]
    return merged.flags(flags, c.etcd.extra_flags)


def etcdctl(host: Host) -> str:
    """etcdctl for the member on this host, as a piece of sh to append arguments to."""
    return str(membership.Ctl(host, (host,)))


def resources(context: Context, host: Host) -> Iterator[Resource]:
    """User, binaries, data folder, service, health; on a running cluster also the way in and out of the quorum."""
    if not host.has(Role.ETCD):
        return
    c = context.cluster
    yield User(host=host.name, user="etcd", home=c.etcd.data_dir)
    yield from context.packages(host, "libraries of etcd", *context.supply.libraries.get("etcd", ()))
    # From 3.6 on it alone restores a snapshot; not every source has it for those before.
    utl = [name for name in ("etcdutl",) if name in context.supply.binaries]
    yield from context.binaries(host, "etcd", "etcdctl", *utl, linked=("etcdctl",))
    yield DataDirectory(host=host.name, path=c.etcd.data_dir, mode="0700", owner="etcd:etcd")
    members = ",".join(f"{member.name}=https://{member.ip}:2380" for member in c.members)
    bootstrap = (
        f"ETCD_INITIAL_CLUSTER={members}\n"
        f"ETCD_INITIAL_CLUSTER_TOKEN={context.secrets.random[ETCD_TOKEN]}\n"
        "ETCD_INITIAL_CLUSTER_STATE=new\n"
    )
    yield File(host=host.name, path=BOOTSTRAP, content=bootstrap)
    others = membership.voters(context, host)
    ctl = membership.Ctl(host, others)
    if host == membership.etcd_host(context):
        for member in context.stale_members:
            yield membership.taken_out(membership.Ctl(host, (host,)), member)
    *files, unit = service(
        context,
        host,
        UNIT,
        description="etcd",
        binary="etcd",
        flags=flags(c, host),
        loads=LOADS,
        # The first member can report only when a second is there: never wait for it.
        block=False,
        guard=membership.quorum_without(ctl) if others else "",
        type="notify",
        user="etcd",
        # The second is there while a member joins, and then it wins.
        pre=[etcd_disk.own(c.etcd.data_dir)],
        post=[etcd_disk.begun()],
        environment_files=[BOOTSTRAP, f"-{JOIN}"],
        limit_nofile=min(65536, context.of(host).nofile_limit),
        extra={"TimeoutStartSec": "infinity"},
    )
    yield from files
    joins = context.joins(host) and bool(others)
    former = [etcd_disk.laid_aside(host, c.etcd.data_dir)] if context.is_ghost(host) else []
    yield from former
    yield etcd_disk.prepared(host, c.etcd.data_dir, blank=not context.has_data(host), joins=joins)
    if joins:
        # While the former member's data lie there, it looks as if it had joined.
        yield replace(membership.joined(ctl, c.etcd.data_dir), watches=frozenset(each.key for each in former))
    yield unit
    if others and (context.joins(host) or membership.learns(context, host)):
        yield membership.promoted(ctl, c.etcd.data_dir)
    yield Ready(
        host=host.name,
        what="etcd",
        # What etcdctl asks, for a tenth of the cost: the member has a leader and commits.
        check=f"curl -gsf --noproxy '*' --max-time 3 {HEALTH} | grep -q '\"health\":\"true\"'",
        proof=runs(UNIT, "etcd"),
        within=90,
        evidence=journal.last(UNIT),
        company=_company(context, host),
    )


def _company(context: Context, host: Host) -> tuple[Company, ...]:
    """In a first build, and after a restore, a member is asked when all have begun, or can't: alone it has no leader,
    whatever it does.
    """
    members = (member for member in context.cluster.members if member.name not in context.absent)
    begin = [member for member in members if UNIT not in context.of(member).running]
    if (context.established is not None and context.restoring is None) or host not in begin:
        return ()
    return (Company(frozenset(Key(other.name, Unit.kind, UNIT) for other in begin if other != host), enough=0),)
