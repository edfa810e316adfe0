"""What a reader is told before a restore: how far it goes back, what comes back, what vanishes, what stays away."""

import base64
import gzip
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import backup_sets as sets
from state_folders import cluster

from quorate.backup.names import Names
from quorate.backup.preview import NAMED, SHOWN, Live, live, preview
from quorate.core import CommandFailed, TransportError
from quorate.spec.cluster import Cluster, Host, Role

AT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
TOLD = sets.manifest(sets.bundle())


class Door:
    """Hosts that answer by a function."""

    def __init__(self, answer: Callable[[str, str], str]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def run(self, host: str, script: str, **_: object) -> str:
        self.asked.append((host, script))
        return self.answer(host, script)


async def found(answer: Callable[[str, str], str], absent: tuple[str, ...] = (), now: Cluster | None = None) -> Live:
    return await live(now or cluster(), Door(answer), absent)  # type: ignore[arg-type]


def names(*keys: str) -> Names:
    return Names.of(f"/registry/{each}" for each in keys)


def texts(then: Names, now: Live, *, raised: bool = True, level: int = 2) -> list[str]:
    return [each.text for each in preview(TOLD, then, now, AT, raised, level) if each.text]


def packed(*keys: str) -> str:
    return base64.b64encode(gzip.compress("".join(f"/registry/{each}\n" for each in keys).encode())).decode()


def test_what_comes_back_and_what_vanishes_is_named() -> None:
    then = names("pods/shop/web-1", "pods/shop/web-2", "secrets/shop/login", "events/shop/e", "jobs/shop/j")
    now = names("pods/shop/web-1", *(f"pods/shop/new-{number}" for number in range(5)), "secrets/shop/login")
    said = preview(TOLD, then, Live({"m1": 1300, "m2": 1299}, True, now), AT, raised=True, level=1)
    assert [each.text for each in said][:4] == [
        "the cluster becomes what it was at 2026-11-23T12:00:00Z, 3 h 30 min ago",
        "etcd goes from revision 1300 back to 1234: 66 writes since are lost",
        "pods: 1 comes back (shop/web-2), 5 vanish (shop/new-0, shop/new-1, shop/new-2, ...)",
        "jobs: 1 comes back (shop/j)",
    ]
    assert (said[2].kind, said[2].back) == ("pods", ("shop/web-2",))
    assert said[2].gone == tuple(f"shop/new-{number}" for number in range(5)), "programs get all of them"
    assert NAMED < 5


def test_the_rest_that_a_reader_has_to_know() -> None:
    bad = replace(TOLD, degraded="1 of 3 members did not answer")
    volumes = Names({}, {"pv1": "nfs 10.0.0.9:/srv", **{f"pv{number}": "" for number in range(2, 6)}})
    said = preview(bad, volumes, Live({}, False), AT, raised=False, level=0)
    rest = "\n".join(each.text for each in said)
    assert "etcd was not well when it was taken: 1 of 3 members did not answer" in rest
    assert "nobody has proved yet" in rest
    assert "can't raise revisions" in rest
    assert "not in it: volume pv1 (nfs)" in rest
    assert said[-1].text == "what these have stays as it is now: pv1 (nfs 10.0.0.9:/srv), pv2, pv3, ..."
    assert len(said[-1].kept) == 5
    calm = "\n".join(texts(names("pods/a/b"), Live({}, False)))
    assert "revision" not in calm
    assert "proved" not in calm


def test_many_kinds_are_bounded_for_readers_alone() -> None:
    then, now = (
        names(*(f"kind{number:02}/a/b" for number in range(SHOWN + 3))),
        Live({"m1": 1}, True, names("pods/a/b")),
    )
    said = preview(TOLD, then, now, AT, raised=True, level=2)
    assert len([each for each in said if each.kind and each.text]) == SHOWN
    assert "and 4 other kinds: kind20, kind21, kind22, pods" in [each.text for each in said]
    assert len([each for each in said if each.kind]) == SHOWN + 4


def test_what_nobody_tells_is_not_made_up() -> None:
    unknown = "what comes back and what vanishes is not known: "
    assert f"{unknown}nobody tells what the cluster has now" in texts(names("pods/a/b"), Live({"m1": 1}, True))
    assert f"{unknown}the backup does not name its objects" in texts(Names(), Live({"m1": 1}, True, names("pods/a/b")))
    same = texts(names("pods/a/b"), Live({"m1": 1}, True, names("pods/a/b", "events/a/e")))
    assert "nothing comes back and nothing vanishes; what was changed since becomes what it was" in same


def test_without_etcd_pods_alone_are_compared() -> None:
    now = Live({}, False, names("pods/shop/new"), silent=("w2",))
    said = texts(names("pods/shop/web-1", "secrets/shop/login"), now)
    assert said[1:3] == [
        "no member of etcd answers, so pods alone are compared, with those of kubelets; w2 did not tell",
        "pods: 1 comes back (shop/web-1), 1 vanishes (shop/new)",
    ]
    assert "secrets" not in "\n".join(said)


async def test_members_are_asked_one_by_one_and_none_has_to_answer() -> None:
    def answer(host: str, script: str) -> str:
        if host != "m1":
            raise CommandFailed("dead", host=host, code=1, stderr="")
        if "endpoint status" in script:
            return '"ClusterID" : 1\n"Revision" : 77\n"Leader" : 0\n'
        return packed("pods/shop/web-1", "minions/w1")

    assert await found(answer) == Live({"m1": 77}, led=False, names=names("pods/shop/web-1", "minions/w1"))


async def test_a_member_that_lists_nothing_has_a_revision_all_the_same() -> None:
    for said in ("", "!", base64.b64encode(b"plain").decode(), CommandFailed("no", host="m1", code=1, stderr="")):

        def answer(_host: str, script: str, said: str | CommandFailed = said) -> str:
            if "endpoint status" in script:
                return '"Revision" : 77\n"Leader" : 5\n'
            if isinstance(said, CommandFailed):
                raise said
            return said

        now = await found(answer)
        assert set(now.revisions.values()) == {77}
        assert (now.led, now.names) == (True, None)


async def test_without_any_member_kubelets_are_asked() -> None:
    workers = tuple(Host(name=f"h{n}", address=IPv4Address(f"10.0.1.{n}"), roles=(Role.WORKER,)) for n in range(3))
    more = cluster().model_copy(update={"hosts": (*cluster().masters, *workers)})

    def answer(host: str, script: str) -> str:
        if "/var/log/pods" not in script:
            return ""
        if host == "h1":
            raise TransportError(host, "does not answer")
        return f"shop_web-{host}\nkube-system_dns\n"

    now = await found(answer, ("h2",), more)
    assert (now.revisions, now.led, now.silent) == ({}, False, ("h1", "h2"))
    assert now.names == names("pods/shop/web-h0", "pods/kube-system/dns")
    nobody = await found(lambda *_: raising(), (), more)
    assert nobody == Live({}, False, None, ("h0", "h1", "h2"))


async def test_a_kubelet_has_the_pods_for_which_it_has_a_folder(tmp_path: Path) -> None:
    logs, pods = tmp_path / "logs", tmp_path / "kubelet/pods"
    for each in ("shop_web-1_11-22", "shop_gone_33-44", "kube-system_dns_55-66", "no-pod"):
        (logs / each).mkdir(parents=True)
    for each in ("11-22", "55-66", "77-88"):
        (pods / each).mkdir(parents=True)

    def answer(_host: str, script: str) -> str:
        if "/var/log/pods" not in script:
            return ""
        here = script.replace("/var/log/pods", str(logs)).replace("/var/lib/kubelet/pods", str(pods))
        return subprocess.run(["/bin/sh", "-c", here], check=True, capture_output=True, text=True).stdout

    assert (await found(answer)).names == names("pods/shop/web-1", "pods/kube-system/dns")
    logs.rename(tmp_path / "other")
    assert (await found(answer)).names == Names({"pods": frozenset()})


def raising() -> str:
    raise TransportError("h", "does not answer")
