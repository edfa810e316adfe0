"""Leaving: pods move away, members go out of etcd, and in the end nodes are forgotten."""

from collections.abc import Iterator

from quorate.component import membership
from quorate.component.context import Context, address
from quorate.core import Key
from quorate.render.drain import drain
from quorate.render.sh import quote
from quorate.resource.kube import kubectl
from quorate.resource.removal import Removal
from quorate.resource.resource import Resource
from quorate.resource.system import Setting
from quorate.resource.unit import Stopped
from quorate.spec.cluster import Host, Role
from quorate.spec.leaving import Leaving
from quorate.spec.processes import control_plane

NAME = "leaving"
EVERYTHING = "everything"


def away(context: Context) -> Iterator[Resource]:
    """What others do so that somebody can leave: drain nodes, take members out of etcd one after the other."""
    there = [each for each in context.leaving if each.host.name not in context.absent]
    yield from (_drained(context, each) for each in there if each.loses(Role.WORKER))
    etcd_host = membership.etcd_host(context)
    before: frozenset[Key] = frozenset()
    for each in there if etcd_host else ():
        assert etcd_host is not None
        if each.loses(Role.ETCD):
            rest = [_at_rest(each)] if each.loses(Role.CONTROL_PLANE) else []
            yield from rest
            for setting in _member(context, etcd_host, each, before | {setting.key for setting in rest}):
                yield setting
                # Each is counted anew.
                before = frozenset({setting.key})


def forgotten(context: Context) -> Iterator[Resource]:
    """The objects of nodes that leave: gone when nothing of them runs any more."""
    yield from (_gone(context, each) for each in context.leaving if each.loses(Role.WORKER))


def removal(each: Leaving) -> Key:
    """The key of the step that cleans the host that leaves."""
    return Key(each.host.name, Removal.kind, EVERYTHING if each.whole else "kubelet")


def _drained(context: Context, each: Leaving) -> Setting:
    """The node cordoned and without pods; those of DaemonSets stay with it."""
    c, host, node = context.cluster, context.api_host, quote(each.host.node)
    url = f"https://{host.ip}:{c.apiserver.port}"
    run, patient = kubectl(url), kubectl(url, timeout=f"{c.kubelet.drain_seconds}s")
    kinds = (
        f"{run} get pods -A --field-selector spec.nodeName={node} "
        "-o 'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{\"\\n\"}{end}'"
    )
    return Setting(
        host=host.name,
        what=f"drain of {each.host.node}",
        want=(("pods", "none"),),
        check=f"on=$({run} get node {node} --ignore-not-found -o 'jsonpath={{.spec.unschedulable}} ') || exit 0\n"
        'case "$on" in "") echo pods=none; exit 0;; true*) ;; *) echo pods=some; exit 0;; esac\n'
        f'left=$({kinds} | grep -vcx DaemonSet) || :; if [ "$left" = 0 ]; then echo pods=none; '
        "else echo pods=some; fi",
        script=drain(patient, each.host.node, c.kubelet.drain_seconds),
        seconds=c.kubelet.drain_seconds,
        removes=True,
    )


def _gone(context: Context, each: Leaving) -> Setting:
    c, host, node = context.cluster, context.api_host, quote(each.host.node)
    run = kubectl(f"https://{host.ip}:{c.apiserver.port}")
    alive = each.host.name not in context.absent
    return Setting(
        host=host.name,
        what=f"node {each.host.node}",
        want=(("node", "gone"),),
        check=f"on=$({run} get node {node} --ignore-not-found -o name) || exit 0\n"
        '[ -n "$on" ] && echo node=there || echo node=gone',
        script=f"{run} delete node {node} --ignore-not-found",
        explicit=frozenset({removal(each)}) if alive else frozenset(),
        removes=True,
    )


def _at_rest(each: Leaving) -> Stopped:
    """Its control plane stopped while its member still answers: so the API server can take itself out of the list
    behind the service `kubernetes`, and leaders give up their leases; without etcd others wait 15 s for both.
    """
    units = tuple(reversed(control_plane()))
    return Stopped(host=each.host.name, what="control plane at rest", units=units)


def _member(context: Context, host: Host, each: Leaving, before: frozenset[Key]) -> list[Setting]:
    """Its member, when it has one that works."""
    ctl = membership.Ctl(host, (host,))
    mine = [member for member in context.facts.members if address(member) == each.host.ip]
    mine = [member for member in mine if member not in context.stale_members]
    return [membership.taken_out(ctl, member, after=before) for member in mine]
