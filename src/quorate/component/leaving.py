"""Leaving: pods move away, nodes and members are forgotten, and what the cluster has on the host goes.

All of it happens after everything else: what takes a host's place is there, proven, and everybody points at it.
"""

from collections.abc import Iterator, Mapping

from quorate.component import membership
from quorate.component.context import Context, address
from quorate.component.turns import Enough, Turns
from quorate.core import Key
from quorate.render.sh import quote
from quorate.resource.brick import Brick
from quorate.resource.kube import kubectl
from quorate.resource.removal import Removal
from quorate.resource.system import Setting
from quorate.spec.cluster import Host, Role
from quorate.spec.leaving import Leaving

NAME = "leaving"
AFTER: tuple[str, ...] = (
    *("system", "trust", "etcd", "etcd_way", "apiserver", "controller_manager", "scheduler", "access"),
    *("balancer", "virtual_ip", "endpoint", "programs", "runtime", "images", "cni", "kubelet", "proxy", "dns"),
    *("metrics", "nodes"),
)
MEETS: Mapping[str, Enough] = dict.fromkeys(AFTER, Enough.ALL)
TURNS = Turns.TOGETHER
EVERYTHING = "everything"


def resources(context: Context, host: Host) -> Iterator[Brick]:
    """What others do so that somebody can leave: drain and forget nodes, take members out of etcd."""
    if host == context.spokesman:
        for each in context.leaving:
            if each.loses(Role.WORKER):
                yield from _node(context, host, each)
    if host == membership.speaker(context):
        before: frozenset[Key] = frozenset()
        for each in context.leaving:
            if each.host.name in context.absent:
                continue
            if each.loses(Role.ETCD):
                rest = [_at_rest(each)] if each.loses(Role.CONTROL_PLANE) else []
                yield from rest
                for setting in _member(context, host, each, before | {setting.key for setting in rest}):
                    yield setting
                    # One after the other, each counted anew.
                    before = frozenset({setting.key})


def removal(each: Leaving) -> Key:
    """The key of the step that cleans the host that leaves."""
    return Key(each.host.name, Removal.kind, EVERYTHING if each.whole else "kubelet")


def drains(context: Context) -> frozenset[Key]:
    """The steps by which pods move away from who leaves: routes to them are needed so long."""
    going = (each for each in context.leaving if each.loses(Role.WORKER) and each.host.name not in context.absent)
    return frozenset(Key(context.spokesman.name, Setting.kind, _drained(each.host)) for each in going)


def waits_for(context: Context, each: Leaving, part: str) -> frozenset[Key]:
    """What must have happened before the things of a part (or everything) may go from a host that leaves."""
    found = set()
    if each.loses(Role.WORKER) and part in (EVERYTHING, "kubelet", "runtime", "cni", "proxy"):
        found.add(Key(context.spokesman.name, Setting.kind, _drained(each.host)))
    speaker = membership.speaker(context)
    if each.loses(Role.ETCD) and part in (EVERYTHING, "etcd") and speaker:
        found |= {setting.key for setting in _member(context, speaker, each, frozenset())}
    return frozenset(found)


def _drained(host: Host) -> str:
    return f"drain of {host.node}"


def _node(context: Context, host: Host, each: Leaving) -> Iterator[Brick]:
    """Cordon and drain a node that answers; in any case delete its object, once nothing of it runs any more."""
    c, node = context.cluster, quote(each.host.node)
    run = kubectl(f"https://{host.ip}:{c.apiserver.port}")
    alive = each.host.name not in context.absent
    if alive:
        patient = kubectl(f"https://{host.ip}:{c.apiserver.port}", timeout=f"{c.kubelet.drain_seconds}s")
        kinds = (
            f"{run} get pods -A --field-selector spec.nodeName={node} "
            "-o 'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{\"\\n\"}{end}'"
        )
        yield Setting(
            host=host.name,
            what=_drained(each.host),
            want=(("pods", "none"),),
            check=f"on=$({run} get node {node} --ignore-not-found -o 'jsonpath={{.spec.unschedulable}} ') || exit 0\n"
            'case "$on" in "") echo pods=none; exit 0;; true*) ;; *) echo pods=some; exit 0;; esac\n'
            # Pods of DaemonSets stay with their node.
            f'left=$({kinds} | grep -vcx DaemonSet) || :; if [ "$left" = 0 ]; then echo pods=none; '
            "else echo pods=some; fi",
            order=f"{patient} drain {node} --ignore-daemonsets "
            f"--delete-emptydir-data --force --timeout={c.kubelet.drain_seconds}s",
            removes=True,
        )
    yield Setting(
        host=host.name,
        what=f"node {each.host.node}",
        want=(("node", "gone"),),
        check=f"on=$({run} get node {node} --ignore-not-found -o name) || exit 0\n"
        '[ -n "$on" ] && echo node=there || echo node=gone',
        order=f"{run} delete node {node} --ignore-not-found",
        explicit=frozenset({removal(each)}) if alive else frozenset(),
        removes=True,
    )


def _at_rest(each: Leaving) -> Setting:
    """Its control plane stopped while its member still answers: so the API server can take itself out of the list
    behind the service `kubernetes`, and leaders give up their leases; without etcd others wait 15 s for both.
    """
    units = "kube-scheduler.service kube-controller-manager.service kube-apiserver.service"
    return Setting(
        host=each.host.name,
        what="control plane at rest",
        want=(("running", "no"),),
        check=f"if systemctl is-active {units} | grep -qx active; then echo running=yes; else echo running=no; fi",
        order=f"systemctl stop {units}",
        removes=True,
    )


def _member(context: Context, host: Host, each: Leaving, before: frozenset[Key]) -> list[Setting]:
    """Its member, when it has one that works."""
    ctl = membership.Ctl(host, (host,))
    mine = [member for member in context.facts.members if address(member) == each.host.ip]
    mine = [member for member in mine if member not in context.stale_members]
    return [membership.taken_out(ctl, member, after=before) for member in mine]
