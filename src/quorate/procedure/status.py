"""How the cluster is right now: one look at every host, nothing changed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from quorate.component import endpoint
from quorate.core import Transport
from quorate.execute import members
from quorate.execute.members import Alarm, Member
from quorate.execute.survey import Service, View, survey
from quorate.procedure import backups, rules, running, sysctls
from quorate.procedure.backups import Backups
from quorate.procedure.running import Versions
from quorate.procedure.sysctls import Sysctl
from quorate.render.drain import MARK
from quorate.resource.kube import kubectl
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.outlook import Outlook, outlook
from quorate.spec.ports import openings
from quorate.spec.processes import elected
from quorate.spec.survival import Part, Parts, parts

ELECTED = elected()
"""Who elects a leader by a lease of that name in kube-system."""


@dataclass(frozen=True)
class Node:
    """One node object."""

    name: str
    ready: bool
    version: str = ""
    schedulable: bool = True
    cordoned_by_us: bool = False
    """A change has not ended there, or the site's program did not let it go."""


@dataclass(frozen=True)
class Expiry:
    """The certificate of a host that ends first."""

    path: str
    not_after: datetime
    days: int


@dataclass(frozen=True)
class Status:
    """The whole cluster; what could not be learned is missing, and `problems` says so."""

    cluster: str
    endpoint: str
    services: Mapping[str, Mapping[str, Service]] = field(default_factory=dict)
    """By host and unit name."""
    members: tuple[Member, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    """Of etcd."""
    leases: Mapping[str, str] = field(default_factory=dict)
    """Holder by component; the holder is a host name as far as it is one of ours."""
    vip: str = ""
    vip_owners: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    certificates: Mapping[str, Expiry] = field(default_factory=dict)
    """By host."""
    sysctls: Mapping[str, tuple[Sysctl, ...]] = field(default_factory=dict)
    """By host, the kernel settings that are not what the cluster needs."""
    ports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By host, what its firewall has to let in, and from whom; where the firewall is left alone, none."""
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By host, what is missing of the rules and routes that the cluster needs there."""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By balancer, the API servers that it does not use at the moment."""
    versions: Versions = field(default_factory=dict)
    """By host and service, what runs."""
    without_endpoint: tuple[str, ...] = ()
    """Hosts that use the endpoint and can't connect to it."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Hosts that did not answer, with the reason."""
    backups: Backups | None = None
    """Those that etcd hosts take by themselves; None where they take none."""
    warnings: tuple[str, ...] = ()
    """What is no problem yet."""
    outlook: Outlook | None = None
    """What it survives from here on; no problem by itself."""
    problems: tuple[str, ...] = ()
    """All that is not as it should be, one line each."""

    @property
    def anything(self) -> bool:
        """Whether anything of the cluster was seen, or a host could not be asked."""
        running = any(
            service.state not in ("absent", "inactive")
            for services in self.services.values()
            for service in services.values()
        )
        seen = any(member.healthy for member in self.members) or self.nodes or self.vip_owners or self.certificates
        return bool(running or seen or self.unreachable)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Host, what, state, detail: the lines of the console, in the order of the cluster file."""
        rows = [(host, "host", "unreachable", why) for host, why in self.unreachable.items()]
        for host, services in self.services.items():
            for unit, service in services.items():
                rows.append((host, unit.removesuffix(".service"), _word(service), _since(service)))
        for member in self.members:
            role = ("leader" if member.leader else "follower") if member.version else ""
            state = "healthy" if member.healthy else "unhealthy"
            rows.append(
                (member.host, "etcd member", state, ", ".join(filter(None, (role, member.size, member.version))))
            )
        if self.backups and self.backups.sets:
            newest = self.backups.sets[0]
            rows.append((newest.host, "backup", newest.name, self.backups.text))
        rows += [(holder, f"{what} lease", "held", "") for what, holder in self.leases.items()]
        rows += [(host, "virtual IP", "held", self.vip) for host in self.vip_owners]
        for node in self.nodes:
            state = "Ready" if node.ready else "NotReady"
            rows.append((node.name, "node", state, node.version + ("" if node.schedulable else ", cordoned")))
        rows += [
            (host, "certificates", f"{expiry.days} days", expiry.path) for host, expiry in self.certificates.items()
        ]
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: names and numbers only, times as ISO 8601."""
        return {
            "cluster": self.cluster,
            "endpoint": self.endpoint,
            "ok": self.ok,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "unreachable": dict(self.unreachable),
            "survives": self.outlook.as_dict() if self.outlook else None,
            "services": {
                host: {unit: _plain(service) for unit, service in services.items()}
                for host, services in self.services.items()
            },
            "etcd": [vars(member) for member in self.members],
            "etcd_alarms": {alarm.kind: list(alarm.hosts) for alarm in self.alarms},
            "backups": self.backups.as_dict() if self.backups else None,
            "versions": {host: dict(each) for host, each in self.versions.items()},
            "mixed": running.mixed(self.versions),
            "leases": dict(self.leases),
            "vip": {"address": self.vip, "owners": list(self.vip_owners)},
            "sysctls": {host: [vars(each) for each in found] for host, found in self.sysctls.items()},
            "without_endpoint": list(self.without_endpoint),
            "ports": {host: list(each) for host, each in self.ports.items()},
            "missing_rules": {host: list(each) for host, each in self.rules.items()},
            "left_out": {host: list(each) for host, each in self.left_out.items()},
            "nodes": [vars(node) for node in self.nodes],
            "certificates": {
                host: {"path": each.path, "not_after": each.not_after.isoformat(), "days": each.days}
                for host, each in self.certificates.items()
            },
        }


async def status(cluster: Cluster, via: Transport) -> Status:
    """Look at every host at once. Raises nothing for hosts that do not answer: they are named."""
    views, lost = await survey(cluster, via, lambda host: _questions(cluster, host))
    return judge(cluster, views, lost)


def _questions(cluster: Cluster, host: Host) -> dict[str, str]:
    asked = {"sysctl": sysctls.ASK, "rules": rules.ASK, "running": running.ASK}
    if endpoint.asks(host):
        asked["endpoint"] = endpoint.reaches(cluster)
    if host.has(Role.ETCD):
        asked |= members.questions(host)
    asked |= backups.questions(cluster, host)
    if host.has(Role.CONTROL_PLANE):
        get = f"{kubectl(f'https://{host.ip}:{cluster.apiserver.port}')} --request-timeout=5s get --raw"
        asked["nodes"] = f"{get} /api/v1/nodes"
        asked["leases"] = f"{get} /apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    return asked


def judge(cluster: Cluster, views: Mapping[str, View], lost: Mapping[str, str]) -> Status:
    """The status that the views add up to."""
    views = {name: members.answering(view) for name, view in views.items()}
    order = [host for host in cluster.hosts if host.name in views]
    vip, opened = str(cluster.endpoint.vip or ""), cluster.os.firewall == "open-ports"
    found_members = tuple(members.read(host, views.get(host.name)) for host in cluster.members)
    kept = backups.read(cluster, views)
    ahead = members.foreseen(outlook(cluster, gone(cluster, views)), found_members)
    well = sum(member.healthy for member in found_members)
    nodes = tuple(_node(item) for item in _first(order, views, "nodes"))
    found = Status(
        cluster=cluster.name,
        endpoint=cluster.server_url,
        services={host.name: views[host.name].services for host in order},
        members=found_members,
        alarms=members.alarms(found_members),
        leases=_leases(cluster, _first(order, views, "leases")),
        vip=vip,
        vip_owners=tuple(host.name for host in order if vip and vip in views[host.name].addresses),
        nodes=nodes,
        certificates={host.name: expiry for host in order if (expiry := _expiry(views[host.name]))},
        sysctls={
            host.name: found for host in order if (found := sysctls.parse(views[host.name].more.get("sysctl", "")))
        },
        ports={host.name: tuple(each.told() for each in openings(cluster, host)) for host in order if opened},
        rules={host.name: lack for host in order if (lack := rules.parse(views[host.name].more.get("rules", "")))},
        left_out={host.name: views[host.name].left_out for host in order if views[host.name].left_out},
        versions={host.name: running.parse(views[host.name].more.get("running", "")) for host in order},
        without_endpoint=tuple(host.name for host in order if "silent" in views[host.name].more.get("endpoint", "")),
        unreachable=dict(lost),
        backups=kept,
        warnings=(*backups.warnings(cluster, kept), *_cordoned(nodes)),
        outlook=backups.foreseen(ahead, cluster, well, kept),
    )
    return Status(**{**vars(found), "problems": tuple(_problems(cluster, found))})


def gone(cluster: Cluster, views: Mapping[str, View]) -> Parts:
    """What the cluster is without: all of a host that gave no view, and services that are not well.

    A balancer is asked for what API servers answer: when none of those is well, that it runs is enough.
    """
    answer = any(_service(views, Part(host.name, "kube-apiserver")).ok for host in cluster.masters)

    def well(part: Part) -> bool:
        service = _service(views, part)
        silent = part.process == cluster.load_balancer.kind and not answer
        return service.state == "active" if silent else service.ok

    return frozenset(part for host in cluster.hosts for part in parts(cluster, host) if not well(part))


def _service(views: Mapping[str, View], part: Part) -> Service:
    view = views.get(part.host)
    return (view.services if view else {}).get(f"{part.process}.service", Service("absent"))


def _problems(cluster: Cluster, found: Status) -> list[str]:
    said = [f"{host}: unreachable: {why}" for host, why in found.unreachable.items()]
    for host, services in found.services.items():
        said += [
            f"{host}: {unit.removesuffix('.service')} is {_word(service)}"
            for unit, service in services.items()
            if not service.ok
        ]
    said += [f"{host}: its balancer leaves out {', '.join(out)}" for host, out in found.left_out.items()]
    said += [f"{host}: {each.told}" for host, changed in found.sysctls.items() for each in changed]
    said += [f"{host}: {rules.told(each)}" for host, missing in found.rules.items() for each in missing]
    leaders = [member.host for member in found.members if member.leader]
    if len(leaders) != 1:
        said.append(f"etcd has {len(leaders)} leaders" if leaders else "etcd has no leader")
    said += members.problems(found.members)
    if found.vip and len(found.vip_owners) != 1:
        said.append(f"{found.vip} is held by {', '.join(found.vip_owners) or 'nobody'}")
    held = f", held by {found.vip_owners[0]}" if found.vip_owners else ""
    said += [f"{host}: can't reach the endpoint {cluster.node_url}{held}" for host in found.without_endpoint]
    said += [f"node {node.name} is NotReady" for node in found.nodes if not node.ready]
    known = {node.name for node in found.nodes}
    if found.nodes or not cluster.workers:
        said += [f"node {host.node} is missing" for host in cluster.workers if host.node not in known]
    else:
        said.append("no API server tells about its nodes")
    said += [f"{what} has no leader" for what in ELECTED if found.nodes and not found.leases.get(what)]
    said += backups.problems(cluster, found.backups)
    limit = min(cluster.pki.renew_before_days, cluster.pki.leaf_days // 2)
    said += [
        f"{host}: {each.path} ends in {each.days} days"
        for host, each in found.certificates.items()
        if each.days < limit
    ]
    return said


def _items(text: str) -> list[dict[str, Any]]:
    try:
        items = json.loads(text)["items"]
    except (ValueError, KeyError, TypeError):
        return []
    return items if isinstance(items, list) else []


def _first(hosts: list[Host], views: Mapping[str, View], question: str) -> list[dict[str, Any]]:
    """The first API server's list that says anything."""
    lists = (_items(views[host.name].more.get(question, "")) for host in hosts)
    return next((items for items in lists if items), [])


def _leases(cluster: Cluster, items: list[dict[str, Any]]) -> dict[str, str]:
    """Holders are `<host name>_<random>`; a host that keeps its own name stays as it is."""
    held = {item["metadata"]["name"]: item.get("spec", {}).get("holderIdentity") or "" for item in items}
    return {what: held[what].rpartition("_")[0] or held[what] for what in ELECTED if held.get(what)}


def _node(item: dict[str, Any]) -> Node:
    state = item.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in state.get("conditions", []))
    version = state.get("nodeInfo", {}).get("kubeletVersion", "")
    schedulable = not item.get("spec", {}).get("unschedulable", False)
    ours = MARK in item["metadata"].get("annotations", {})
    return Node(item["metadata"]["name"], ready, version, schedulable, ours)


def _cordoned(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if node.cordoned_by_us:
            yield f"node {node.name} takes no pods since quorate cordoned it: `quorate apply` goes on with it"


def _expiry(view: View) -> Expiry | None:
    if not view.certificates:
        return None
    soonest = min(view.certificates, key=lambda each: (each.info.not_after, each.path))
    return Expiry(soonest.path, soonest.info.not_after, (soonest.info.not_after - view.now) // timedelta(days=1))


def _word(service: Service) -> str:
    return "not answering" if service.state == "active" and service.healthy is False else service.state


def _since(service: Service) -> str:
    if service.since is None:
        return ""
    times = f", restarted {service.restarts} times" if service.restarts else ""
    return f"since {service.since:%Y-%m-%d %H:%M:%S}Z{times}"


def _plain(service: Service) -> dict[str, Any]:
    since = service.since.isoformat() if service.since else None
    return {"state": service.state, "since": since, "restarts": service.restarts, "healthy": service.healthy}
