"""What holds for every cluster: losing more never helps, the order of the file is nothing, and all sets are judged."""

from itertools import combinations
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import clusters

from quorate.execute.survey import units
from quorate.spec import whatif
from quorate.spec.cluster import Cluster, Endpoint, Role
from quorate.spec.losses import fatal, hosts_may_fail, may_fail, whole
from quorate.spec.outlook import outlook
from quorate.spec.survival import Part, Parts, after, parts

some = settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)


def everything(c: Cluster) -> list[Part]:
    return sorted(part for host in c.hosts for part in parts(c, host))


def well(c: Cluster, lost: Parts) -> bool:
    """The same verdict, thought out once more and without the code under test."""

    def runs(host: str, *what: str) -> bool:
        return all((host, each) not in lost for each in what)

    of = {role: [host.name for host in c.hosts if role in host.roles] for role in Role}
    members = [name for name in of[Role.ETCD] if runs(name, "etcd")]
    if 2 * len(members) <= len(of[Role.ETCD]):
        return False
    # Every API server goes to all members by a local way of its own.
    ready = [name for name in of[Role.CONTROL_PLANE] if runs(name, "kube-apiserver", "quorate-etcd")]
    if c.endpoint.vip:
        entered = any(runs(name, c.load_balancer.kind, "keepalived") for name in of[Role.LOAD_BALANCER])
    elif c.endpoint.address:
        balanced = any(runs(name, c.load_balancer.kind) for name in of[Role.LOAD_BALANCER])
        entered = balanced or not of[Role.LOAD_BALANCER]
    else:
        # Where each node has a balancer, clients outside come in at any master.
        entered = bool(ready) if c.endpoint.local else of[Role.CONTROL_PLANE][0] in ready
    own = (c.load_balancer.kind,) if c.endpoint.local else ()
    return (
        bool(ready)
        and entered
        and any(runs(name, "kube-controller-manager") for name in ready)
        and any(runs(name, "kube-scheduler") for name in ready)
        and any(runs(name, "kubelet", c.runtime.kind, *own) for name in of[Role.WORKER])
    )


@some
@given(clusters(), st.data())
def test_any_set_of_processes_is_judged_right(c: Cluster, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        c = c.model_copy(update={"endpoint": Endpoint(address="api.example.org")})
    lost = frozenset(data.draw(st.sets(st.sampled_from(everything(c)))))
    assert after(c, lost).ok is well(c, lost)


@some
@given(clusters())
def test_any_set_of_hosts_is_judged_right(c: Cluster) -> None:
    least = len(c.hosts)
    for many in range(1, len(c.hosts) + 1):
        bad = {
            frozenset(host.name for host in hosts)
            for hosts in combinations(c.hosts, many)
            if not well(c, frozenset(part for host in hosts for part in parts(c, host)))
        }
        if bad:
            least = min(least, many)
        listed = [frozenset(host.name for host in each) for loss in fatal(c, many, whole(c)) for each in loss.sets()]
        assert len(listed) == len(set(listed))
        assert set(listed) == bad
        if many == 2:
            assert whatif.pairs(c).survived == len(list(combinations(c.hosts, 2))) - len(bad)
    assert hosts_may_fail(c) == least - 1
    assert outlook(c).may_fail == least - 1


@some
@given(clusters(), st.data())
def test_the_outlook_is_that_of_what_is_left(c: Cluster, data: st.DataObject) -> None:
    gone = frozenset(data.draw(st.sets(st.sampled_from(everything(c)), max_size=4)))
    ahead = outlook(c, gone)
    assert ahead.ok is well(c, gone)
    if not ahead.ok:
        return
    left = [host for host in c.hosts if parts(c, host) - gone]

    def survived(many: int) -> bool:
        return all(well(c, gone.union(*(parts(c, host) for host in hosts))) for hosts in combinations(left, many))

    assert {name for name, _ in ahead.fatal} == {host.name for host in left if not well(c, gone | parts(c, host))}
    assert survived(ahead.may_fail)
    assert not survived(ahead.may_fail + 1)
    assert bool(ahead.fatal) is (ahead.may_fail == 0)


@some
@given(clusters(), st.sampled_from(list(Role)))
def test_as_many_may_fail_in_a_role_as_it_is_said(c: Cluster, role: Role) -> None:
    having = c.having(role)

    def survived(many: int) -> bool:
        return all(
            well(c, frozenset(part for host in hosts for part in parts(c, host, (role,))))
            for hosts in combinations(having, many)
        )

    spare = may_fail(c, role)
    assert survived(spare)
    assert spare == len(having) or not survived(spare + 1)


@some
@given(clusters(), st.data())
def test_losing_more_never_helps(c: Cluster, data: st.DataObject) -> None:
    parted = st.sets(st.sampled_from(everything(c)))
    lost, more = frozenset(data.draw(parted)), frozenset(data.draw(parted))
    one, both = after(c, lost), after(c, lost | more)
    assert both.reads <= one.reads
    assert set(both.idle) >= set(one.idle)
    for what in ("members", "ready", "entry_points", "workers"):
        assert set(getattr(both, what)) <= set(getattr(one, what))
    if one.ok and both.ok:
        assert outlook(c, lost | more).may_fail <= outlook(c, lost).may_fail


@some
@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_the_file_is_nothing(c: Cluster, random: Random) -> None:
    def told(of: Cluster) -> object:
        two = whatif.pairs(of)
        return (
            {(frozenset(case.hosts), case.process, case.outcome.reads, case.meaning) for case in whatif.cases(of)},
            {frozenset(host.name for host in each) for loss in two.fatal for each in loss.sets()},
            whatif.tolerance(of),
            whatif.weaknesses(of),
            dict(outlook(of).fatal),
        )

    hosts = list(c.hosts)
    random.shuffle(hosts)
    assert told(c) == told(c.model_copy(update={"hosts": tuple(hosts)}))


@some
@given(clusters())
def test_every_case_is_that_of_each_of_its_hosts(c: Cluster) -> None:
    cases = [case for case in whatif.cases(c) if not case.what.startswith("the link")]
    for case in cases:
        for name in case.hosts:
            lost = frozenset({Part(name, case.process)}) if case.process else parts(c, c.host(name))
            assert well(c, lost) is case.outcome.ok
    whole_hosts = [name for case in cases if not case.process for name in case.hosts]
    assert sorted(whole_hosts) == sorted(host.name for host in c.hosts)
    assert sorted((name, case.process) for case in cases if case.process for name in case.hosts) == everything(c)


@some
@given(clusters())
def test_the_model_is_that_of_the_components(c: Cluster) -> None:
    for host in c.hosts:
        assert {f"{part.process}.service" for part in parts(c, host)} <= set(units(c, host))
