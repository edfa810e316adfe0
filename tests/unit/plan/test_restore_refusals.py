"""What an operation of restore refuses, and what it does not: it is there for members without data."""

from collections.abc import Mapping
from dataclasses import replace

from past_clusters import THREE, E, L, M, W, cluster, context, ids, without
from worlds import blob

from quorate.component.context import Context
from quorate.operation import restore
from quorate.plan import guard
from quorate.plan.compile import compile_stage
from quorate.resource.file import Binary, File
from quorate.resource.job import Job
from quorate.resource.unit import Stopped
from quorate.spec.facts import Facts
from quorate.spec.restoring import Restoration

FROM = Restoration(
    *("4711", "c-1", "0" * 64, 1000, 5000, {"etcd": "3.4.45", "kubernetes": "1.20.2"}),
    tool="etcdctl",
    blob=blob("snapshot"),
)


def restoring(given: Context, **changes: object) -> Context:
    versions = {"etcd": "3.4.23", "kubernetes": "1.20.2"}
    return replace(given, restoring=replace(FROM, **changes), supply=replace(given.supply, versions=versions))  # type: ignore[arg-type]


def said(given: Context, machines: Mapping[str, str] | None = None) -> str:
    return "\n".join(str(each) for each in guard.refusals(given, machines or ids(given.cluster), restore))


def swapped(given: Context) -> Context:
    hosts = {name: replace(facts, restored=FROM.id) for name, facts in given.facts.hosts.items()}
    return replace(given, facts=Facts(hosts, given.facts.pod_cidrs))


def test_members_without_data_and_without_a_quorum_are_what_it_is_for() -> None:
    three = cluster(THREE)
    assert said(restoring(context(three))) == ""
    assert said(restoring(context(three, empty=frozenset({"m1", "m2", "m3"})))) == ""


def test_who_could_serve_old_data_must_be_there() -> None:
    three = cluster(THREE)
    for name in ("m1", "b1"):
        told = said(restoring(context(three, absent=frozenset({name}))))
        assert f"{name} does not answer" in told
        assert f"--without {name}" in told
    assert said(restoring(context(three, absent=frozenset({"n1"})))) == ""


def test_a_machine_in_the_place_of_another_must_be_meant() -> None:
    three = cluster(THREE)
    assert "another machine" in said(restoring(context(three)), ids(three) | {"m1": "new"})
    new = replace(restoring(context(three, empty=frozenset({"m1"}))), replaced=frozenset({"m1"}))
    assert said(new, ids(three) | {"m1": "new"}) == ""


def test_a_change_of_hosts_is_not_a_restore() -> None:
    assert "that is a change" in said(restoring(context(cluster(without("n2")), cluster(THREE))))


def test_versions_go_back_with_the_data_and_nowhere_else() -> None:
    given = restoring(context(cluster(THREE)))
    other = replace(given, restoring=replace(FROM, versions={"etcd": "3.5.35", "kubernetes": "1.20.2"}))
    assert 'write etcd: "3.5.35" under `versions`' in said(other)
    older = replace(given, restoring=replace(FROM, versions={"etcd": "3.4.23", "kubernetes": "1.19.9"}))
    assert "was taken from kubernetes 1.19.9" in said(older)
    # The file has gone back to them already: the last apply had newer ones.
    assert said(replace(given, releases={"kubernetes": "1.21.0", "etcd": "3.5.35"})) == ""
    assert "a restore changes no versions" in said(replace(given, releases={"etcd": "3.4.22"}))
    besides = replace(given, restoring=replace(FROM, versions={**FROM.versions, "containerd": "1.6.0"}))
    besides = replace(besides, supply=replace(besides.supply, versions={"containerd": "1.7.0"}))
    assert "a restore changes no versions" in said(replace(besides, releases={"containerd": "1.6.9"}))
    assert said(replace(besides, releases={"containerd": "1.7.0"})) == ""


def test_without_the_snapshot_it_goes_on_only_when_all_members_have_its_data() -> None:
    given = restoring(context(cluster(THREE)), blob=None)
    assert "`quorate restore c-1` goes on with it" in said(given)
    assert said(swapped(given)) == ""


def test_a_cluster_that_was_never_built_is_not_restored() -> None:
    assert "was never built" in said(replace(restoring(context(cluster(THREE))), established=None, former=()))


def test_before_anything_stops_nothing_but_new_files_is_made() -> None:
    (bring, stop, *_) = restore.stages(restoring(context(cluster(THREE))))
    kinds = {resource.kind for resource in compile_stage(bring).resources}
    assert kinds == {"user", "data", "directory", "binary", "job"}
    assert not [each for each in compile_stage(stop).resources if each.kind not in ("fence", "stopped")]
    sent = [each for each in compile_stage(bring).resources if isinstance(each, Binary) and each.blob == FROM.blob]
    assert {(each.host, each.mode) for each in sent} == {(host, "0600") for host in ("m1", "m2", "m3")}


def test_one_member_file_for_all_a_new_token_and_raised_revisions() -> None:
    given = restoring(context(cluster(THREE)), bump=10**9)
    (bring, *_) = restore.stages(given)
    (job, *others) = (each for each in compile_stage(bring).resources if isinstance(each, Job))
    assert len(others) == 2
    members = ",".join(f"m{n}=https://10.0.9.1{n}:2380" for n in (1, 2, 3))
    for each in (job, *others):
        assert f"--initial-cluster {members}" in each.script.replace("'", "")
        assert "--initial-cluster-token 4711" in each.script.replace("'", "")
        assert "--bump-revision 1000000000 --mark-compacted" in each.script.replace("'", "")
        assert f"--name {each.host} " in each.script.replace("'", "")
    (plain, *_) = restore.stages(restoring(context(cluster(THREE))))
    assert not [each for each in compile_stage(plain).resources if isinstance(each, Job) and "--bump" in each.script]


def test_a_clone_calls_no_webhooks_before_nodes_come() -> None:
    def flags(stage: str, **changes: object) -> list[str]:
        given = restoring(
            context(cluster(THREE, apiserver={"extra_flags": {"disable-admission-plugins": "X"}})), **changes
        )
        (found,) = (compile_stage(each) for each in restore.stages(given) if each.name == stage)
        units = [each for each in found.resources if isinstance(each, File) and "kube-apiserver.service" in each.path]
        assert len(units) == 3
        return [
            line.strip(" \\") for unit in units for line in unit.content.splitlines() if "disable-admission" in line
        ]

    quiet = "--disable-admission-plugins=X,MutatingAdmissionWebhook,ValidatingAdmissionWebhook"
    assert flags(restore.SERVE, clone=True) == [quiet] * 3
    assert flags(restore.CONTROL, clone=True) == ["--disable-admission-plugins=X"] * 3
    assert flags(restore.SERVE) == ["--disable-admission-plugins=X"] * 3


def test_a_host_that_has_the_new_data_is_not_sent_them_again() -> None:
    given = restoring(context(cluster(THREE)))
    hosts = dict(given.facts.hosts) | {"m2": replace(given.facts.of("m2"), restored=FROM.id)}
    (bring, *_) = restore.stages(replace(given, facts=Facts(hosts, given.facts.pod_cidrs)))
    assert {each.host for each in compile_stage(bring).resources} == {"m1", "m3"}


def test_balancers_that_serve_others_stand_still_and_those_of_a_host_alone_do_not() -> None:
    def doors(given: Context) -> set[str]:
        (_, stop, *_) = restore.stages(restoring(given))
        return {
            each.host for each in compile_stage(stop).resources if isinstance(each, Stopped) and "endpoint" in each.what
        }

    assert doors(context(cluster(THREE))) == {"b1", "b2"}
    alone = cluster({"m1": (M, E), "n1": (W,)}, endpoint={"local": True})
    assert doors(context(alone)) == set()
    assert doors(context(cluster({"m1": (M, E, L), "n1": (W,)}))) == {"m1"}
