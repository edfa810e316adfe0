"""What a restore would do, for a reader who has to say yes: what the cluster has now, what comes back, what vanishes.

Where no member of etcd answers, nobody knows all of what is there; the pods that kubelets have are known all the same.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from quorate.backup.manifest import Manifest
from quorate.backup.names import PODS, Names, compared
from quorate.component.membership import Ctl
from quorate.core import CommandFailed, QuorateError, Transport, TransportError
from quorate.plan.words import many
from quorate.render import throwaway
from quorate.render.sh import quote
from quorate.report.event import Foretold
from quorate.spec.cluster import Cluster, Host

STATUS_WITHIN_S = 20.0
"""Seconds for a member to say how it is, and for a host to say which pods it has."""
NAMES_WITHIN_S = 120.0
"""Seconds for a member to list all keys."""
SHOWN, NAMED = 20, 3
"""Kinds of objects with a line of their own, and names of each; events have all of them."""


@dataclass(frozen=True)
class Live:
    """What there is now, as far as anybody tells."""

    revisions: Mapping[str, int]
    """The newest of each member that answers, by host."""
    led: bool
    """Whether there is a leader, and so a quorum."""
    names: Names | None = None
    """Of all objects; of pods alone where no member answers, and None where nobody does."""
    silent: tuple[str, ...] = ()
    """Workers that don't say which pods they have."""


async def live(cluster: Cluster, via: Transport, absent: Collection[str] = ()) -> Live:
    """Ask every member that answers, also one that has lost the others; without any, the workers for their pods."""
    hosts = cluster.members
    found = await asyncio.gather(*(_status(via, host) for host in hosts))
    answers = [(host, *each) for host, each in zip(hosts, found, strict=True) if each]
    if not answers:
        return await _pods(cluster, via, absent)
    newest, _, _ = max(answers, key=lambda each: each[1])
    revisions = {host.name: revision for host, revision, _ in answers}
    return Live(revisions, any(leads for _, _, leads in answers), await _names(via, newest))


async def _status(via: Transport, host: Host) -> tuple[int, bool] | None:
    """Revision, and whether it knows a leader."""
    try:
        ask = f"{Ctl(host, (host,))} --command-timeout=10s endpoint status -w fields || exit 0"
        text = await via.run(host.name, ask, timeout=STATUS_WITHIN_S)
    except (TransportError, CommandFailed):
        return None
    revision = re.search(r'^"Revision" : (\d+)$', text, re.MULTILINE)
    leader = re.search(r'^"Leader" : (\d+)$', text, re.MULTILINE)
    return None if revision is None else (int(revision[1]), leader is not None and leader[1] != "0")


async def _names(via: Transport, host: Host) -> Names | None:
    """What a member lists, packed on its way here; it may have lost the others."""
    script = f"""\
umask 077; w=$(mktemp -d) && cd "$w" || exit 1
trap 'rm -rf "$w"' EXIT
ctl() {{ {Ctl(host, (host,))} --command-timeout=30s "$@"; }}
{throwaway.KEYS}
q_keys '' ctl || exit 1
grep '^{throwaway.OBJECTS}' keys | gzip -c | base64
"""
    try:
        text = await via.run(host.name, script, timeout=NAMES_WITHIN_S)
        return Names.read(base64.b64decode(text), host.name)
    except (TransportError, QuorateError, binascii.Error):
        return None


async def _pods(cluster: Cluster, via: Transport, absent: Collection[str]) -> Live:
    """The pods of kubelets, by the folders that these have for each: no runtime has to answer for it."""
    hosts = [host for host in cluster.workers if host.name not in absent]
    found = await asyncio.gather(*(_pods_of(cluster, via, host) for host in hosts))
    told = [each for each in found if each is not None]
    silent = {host.name for host, each in zip(hosts, found, strict=True) if each is None} | set(absent)
    names = Names({PODS: frozenset().union(*told)}) if told else None
    return Live({}, False, names, tuple(host.name for host in cluster.workers if host.name in silent))


async def _pods_of(cluster: Cluster, via: Transport, host: Host) -> frozenset[str] | None:
    folder = quote(f"{cluster.kubelet_dir(host)}/pods")
    script = f"""\
cd /var/log/pods 2>/dev/null || exit 0
for p in *_*_*; do if [ -d {folder}/"${{p##*_}}" ]; then printf '%s\\n' "${{p%_*}}"; fi; done
"""
    try:
        text = await via.run(host.name, script, timeout=STATUS_WITHIN_S)
    except (TransportError, CommandFailed):
        return None
    return frozenset(line.replace("_", "/") for line in text.splitlines())


def preview(told: Manifest, then: Names, now: Live, moment: datetime, raised: bool, level: int) -> list[Foretold]:
    """What a reader has to know before he says yes, a line each."""
    return [*map(Foretold, _times(told, now, moment)), *_differences(then, now), *_rest(told, then, raised, level)]


def _times(told: Manifest, now: Live, moment: datetime) -> Iterator[str]:
    age = moment.astimezone(UTC) - told.time
    yield f"the cluster becomes what it was at {told.taken_at}, {_ago(age.total_seconds())} ago"
    if now.revisions:
        newest = max(now.revisions.values())
        yield f"etcd goes from revision {newest} back to {told.etcd.revision}: {_written(newest - told.etcd.revision)}"


def _written(count: int) -> str:
    return f"{many(count, 'write')} since are lost" if count > 0 else "nothing was written since"


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _differences(then: Names, now: Live) -> Iterator[Foretold]:
    """By kind, what comes back and what vanishes."""
    if now.names is None or not then.kinds:
        why = "the backup does not name its objects" if now.names else "nobody tells what the cluster has now"
        yield Foretold(f"what comes back and what vanishes is not known: {why}")
        return
    if not now.revisions:
        then = Names({PODS: then.kinds.get(PODS, frozenset())})
        silent = f"; {', '.join(now.silent)} did not tell" if now.silent else ""
        yield Foretold(f"no member of etcd answers, so pods alone are compared, with those of kubelets{silent}")
    found = list(compared(then, now.names))
    for number, each in enumerate(found):
        told = filter(None, (_named(each.back, "comes back", "come back"), _named(each.gone, "vanishes", "vanish")))
        text = f"{each.kind}: {', '.join(told)}" if number < SHOWN else ""
        yield Foretold(text, each.kind, each.back, each.gone)
    if more := found[SHOWN:]:
        yield Foretold(f"and {many(len(more), 'other kind')}: {', '.join(each.kind for each in more)}")
    if not found:
        yield Foretold("nothing comes back and nothing vanishes; what was changed since becomes what it was")


def _named(names: Sequence[str], one: str, several: str) -> str:
    """`5 come back (shop/a, shop/b, shop/c, ...)`."""
    return f"{many(len(names), one, several)} ({_first(names)})" if names else ""


def _first(names: Sequence[str]) -> str:
    return ", ".join((*names[:NAMED], *(("...",) if len(names) > NAMED else ())))


def _rest(told: Manifest, then: Names, raised: bool, level: int) -> Iterator[Foretold]:
    if told.degraded:
        yield Foretold(f"etcd was not well when it was taken: {told.degraded}")
    if not level:
        yield Foretold(
            "nobody has proved yet that it can be restored: `quorate backup prove` does, before anything stops"
        )
    if not raised:
        yield Foretold(
            "this etcd can't raise revisions: what watches the API from pods (CoreDNS, pod networks, operators) may "
            "see old objects until it is restarted; kubelets and kube-proxies are"
        )
    yield Foretold(f"not in it: {'; '.join(told.not_in_it)}" if told.not_in_it else "volumes are not in it")
    if volumes := then.told_volumes:
        yield Foretold(f"what these have stays as it is now: {_first(volumes)}", "persistentvolumes", kept=volumes)
