"""A change that does not hold goes back on its host: the judge at work, with a systemd that is made up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from own_root import OURS, Root
from past_clusters import THREE, ancestors, cluster, context
from staging import compile_cluster
from test_who_waits import change

from quorate.core import Key
from quorate.plan.compile import Compiled
from quorate.plan.fallback import fallen_back, known_bad
from quorate.plan.graph import Part
from quorate.plan.staged import foreseen
from quorate.plan.step import Plan
from quorate.render.fallback import SWEPT
from quorate.resource.fallback import Fallback, Settled
from quorate.resource.file import File
from quorate.resource.removal import script
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import LoadBalancer

SYSTEMCTL = r"""#!/bin/sh
# Runs one service: what it runs is what its program says at its start; it notes what it loads, as units of ours do.
while :; do case $1 in -*) shift;; *) break;; esac; done
case $1 in
restart)
  cp /etc/test/program /etc/test/runs
  sha256sum /etc/test/program >/run/quorate/x.service.loaded
  echo "$2" >>/etc/test/restarts;;
is-active) pgrep -f "/var/lib/quorate/fallback/x/judg[e]" >/dev/null;;
stop) case $* in *judge*) pkill -f "/var/lib/quorate/fallback/x/judg[e]";; esac;;
esac
"""
RUN = """#!/bin/sh
for last; do :; done
# As systemd's DefaultEnvironment= may have it for all services.
https_proxy=http://192.0.2.1:3128 setsid /bin/sh "$last" </dev/null >/etc/test/judged 2>&1 &
"""
JOURNAL = """#!/bin/sh
for last; do :; done
case $last in
_SYSTEMD_UNIT=x.service) cat /etc/test/said;;
UNIT=x.service) echo Main process exited;;
esac
"""
PROGRAM, CONF, NEW = "/etc/test/program", "/etc/test/conf", "/etc/test/new"


def part(program: str, *, within: int = 3, **more: str) -> Part:
    """A service with its program, its configuration, and a file that was not there before."""
    files = {PROGRAM: program, CONF: f"conf of {program}", NEW: f"new with {program}"} | more
    resources = [File(host="h", path=path, content=text + "\n") for path, text in files.items()]
    unit = Unit(host="h", unit="x.service", loads=tuple(files))
    check = 'grep -q good /etc/test/runs && [ -z "${https_proxy-}" ]'
    proof = Ready(host="h", what="x", check=check, within=within)
    return fallen_back(Part("x", "h", (*resources, unit, proof)))


class Site:
    """A host with the service, and a change of it."""

    def __init__(self, folder: Path) -> None:
        self.root = Root(folder, (*OURS, "usr/local/sbin", "etc/systemd/system"))
        for name, text in (
            ("systemctl", SYSTEMCTL),
            ("systemd-run", RUN),
            ("journalctl", JOURNAL),
        ):
            path = folder / "usr/local/sbin" / name
            path.write_text(text)
            path.chmod(0o755)
        (self.root.etc / "said").write_text("no such flag\n")
        self.units = folder / "etc/systemd/system"
        (self.units / "multi-user.target.wants").mkdir()
        self.place = self.root.state / "fallback"

    async def run(self, script: str) -> str:
        return await self.root.via.run("h", f"PATH=/usr/local/sbin:$PATH; {script}")

    async def begin(self, program: str) -> None:
        (self.root.etc / "program").write_text(program)
        (self.root.etc / "conf").write_text(f"conf of {program}")
        await self.run("mkdir -p /run/quorate; systemctl restart x.service")

    async def change(self, to: Part, *, restart: bool = True) -> None:
        await asyncio.sleep(0.05)  # The kernel's clock for files is coarse.
        for resource in to.resources:
            if isinstance(resource, Fallback | File):
                await self.root.converge(resource)
        if restart:
            await self.run("systemctl restart x.service")

    async def over(self) -> None:
        end = time.monotonic() + 30
        while (self.place / "x").exists():
            assert time.monotonic() < end, (self.root.etc / "judged").read_text()
            await asyncio.sleep(0.1)

    def text(self, name: str) -> str:
        path = self.root.etc / name
        return path.read_text().strip() if path.exists() else "not there"

    @property
    def failed(self) -> str:
        path = self.place / "x.failed"
        return path.read_text() if path.exists() else ""

    def traces(self) -> list[str]:
        return [path.name for path in self.units.rglob("*") if path.is_file() or path.is_symlink()]


Made = Callable[[], Awaitable[Site]]


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    made = Site(tmp_path)
    await made.begin("good and old")
    return made


async def test_what_holds_stays_and_leaves_nothing(site: Site) -> None:
    await site.change(part("good and new"))
    assert (site.place / "x/armed").exists()
    await site.over()
    assert (site.text("program"), site.text("conf")) == ("good and new", "conf of good and new")
    assert (site.failed, site.traces(), list(site.place.iterdir())) == ("", [], [])


async def test_what_does_not_hold_goes_back_all_together(site: Site) -> None:
    to = part("bad")
    await site.change(to)
    await site.over()
    assert (site.text("program"), site.text("conf"), site.text("new")) == (
        *("good and old", "conf of good and old"),
        "not there",
    )
    assert site.text("runs") == "good and old"
    kept = to.resources[0]
    assert isinstance(kept, Fallback)
    assert f"digest={kept.digest}\n" in site.failed
    assert "why=did not answer within 3 s\nsaid=no such flag\nback=yes\n" in site.failed
    assert site.traces() == []


async def test_what_is_done_between_is_done_on_the_way_back_too(site: Site) -> None:
    """While the service is at rest, with the files of before in place, as for the way there."""
    to = part("bad")
    unit = next(resource for resource in to.resources if isinstance(resource, Unit))
    emptied = "cat /etc/test/program >>/etc/test/between"
    resources = [replace(unit, between=emptied) if resource is unit else resource for resource in to.resources]
    plain = [resource for resource in resources if not isinstance(resource, Fallback | Settled)]
    await site.change(fallen_back(Part("x", "h", tuple(plain))))
    await site.over()
    assert site.text("between") == "good and old"
    assert site.text("runs") == "good and old"


async def test_of_a_program_that_said_nothing_systemd_tells(site: Site) -> None:
    (site.root.etc / "said").write_text("")
    await site.change(part("bad"))
    await site.over()
    assert "why=did not answer within 3 s\nsaid=Main process exited\nback=yes\n" in site.failed


async def test_when_what_ran_before_does_not_answer_either_that_is_told(site: Site) -> None:
    await site.begin("also bad")
    await site.change(part("bad"))
    await site.over()
    assert site.text("program") == "also bad"
    assert site.failed.endswith("back=no\n")


async def test_the_proof_tells_what_the_judge_decided(site: Site) -> None:
    from quorate.core import CommandFailed
    from quorate.execute import batch

    to = part("bad")
    await site.change(to)
    proof = to.resources[-2]
    assert isinstance(proof, Ready)
    with pytest.raises(CommandFailed) as refused:
        await site.root.via.run("h", batch.upload(proof.converge({})[0]))
    assert "it did not hold, and what ran before is back:" in refused.value.stderr
    assert "did not answer within 3 s" in refused.value.stderr


async def test_what_becomes_of_a_service_that_does_not_even_start_is_waited_for(site: Site) -> None:
    from quorate.core import CommandFailed

    to = part("bad", within=2)
    unit = to.resources[-3]
    assert isinstance(unit, Unit)
    await site.change(to)
    with pytest.raises(CommandFailed) as refused:
        await site.root.via.run("h", unit.fallback)
    assert "it did not hold, and what ran before is back:" in refused.value.stderr
    assert site.text("runs") == "good and old"
    assert not (site.place / "x").exists()


async def test_files_that_nobody_loaded_are_what_a_next_run_takes_over(site: Site) -> None:
    """The operator died between writing and restarting; what is kept is what runs."""
    await site.change(part("bad"), restart=False)
    await site.change(part("worse"))
    await site.over()
    assert (site.text("program"), site.text("runs")) == ("good and old", "good and old")


async def test_after_a_reboot_it_is_judged_all_the_same(site: Site) -> None:
    await site.change(part("bad"), restart=False)
    await site.run("systemctl stop quorate-judge-x.service")
    assert sorted(site.traces()) == ["quorate-fallback-x.service"] * 2
    await site.run("systemctl restart x.service; systemd-run /var/lib/quorate/fallback/x/judge")
    await site.over()
    assert site.text("runs") == "good and old"
    assert "back=yes" in site.failed


async def test_what_nobody_goes_on_with_goes_back_and_restarts_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quorate.render import fallback

    monkeypatch.setattr(fallback, "FORSAKEN_S", 2)
    await site.change(part("bad"), restart=False)
    await site.over()
    assert site.text("program") == "good and old"
    assert site.text("restarts").split() == ["x.service"], "that of the beginning"
    assert site.failed == "", "it was never tried"


async def test_what_a_trial_refuses_takes_back_what_was_put_there_before(site: Site) -> None:
    from quorate.core import CommandFailed

    to = part("bad")
    tried = [replace(each, trial="echo no >&2; return 1") if each.name == CONF else each for each in _plain(to)]
    to = fallen_back(Part("x", "h", tuple(tried)))
    with pytest.raises(CommandFailed):
        await site.change(to)
    await site.over()
    assert (site.text("program"), site.text("runs"), site.failed) == ("good and old", "good and old", "")


def _plain(of: Part) -> list[Resource]:
    return [replace(each, explicit=frozenset()) for each in of.resources if not isinstance(each, Fallback | Settled)]


async def test_destroy_leaves_nothing_of_it(site: Site) -> None:
    to = part("bad")
    await site.change(to)
    await site.root.remove(to.resources[0])  # type: ignore[arg-type]
    assert (site.traces(), list(site.place.iterdir())) == ([], [])


async def test_who_takes_a_whole_host_away_ends_all_judges_first(site: Site) -> None:
    """Also where the service does not run, and nobody knows of its judge any more."""
    await site.change(part("bad"))
    assert script([], whole=True).index(SWEPT) < script([], whole=True).index("systemctl daemon-reload")
    assert SWEPT not in script([], whole=False)
    await site.run(SWEPT)
    assert site.traces() == []
    await asyncio.sleep(5)
    assert site.text("program") == "bad", "nobody put it back"


async def test_what_no_service_loads_stays_and_nobody_waits_to_take_it_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode, a program beside, a file that somebody had edited: no restart comes, and none is missed."""
    from quorate.render import fallback

    monkeypatch.setattr(fallback, "FORSAKEN_S", 2)
    to = part("good and mended")
    await site.change(to, restart=False)
    settled = to.resources[-1]
    assert isinstance(settled, Settled)
    assert await site.root.state_of(settled) == {"waits": "files"}
    await site.root.converge(settled)
    assert await site.root.state_of(settled) == settled.desired
    assert (site.traces(), list(site.place.iterdir())) == ([], [])
    await asyncio.sleep(4)
    assert site.text("program") == "good and mended"


async def test_a_judge_that_has_something_to_judge_stays(site: Site) -> None:
    to = part("bad")
    await site.change(to)
    settled = to.resources[-1]
    assert isinstance(settled, Settled)
    assert await site.root.state_of(settled) == settled.desired
    await site.root.converge(settled)
    await site.over()
    assert site.text("program") == "good and old"


async def test_what_was_refused_before_says_nothing_of_the_next_try(site: Site) -> None:
    """The mark of a trial that failed, and the judge that had not seen it yet."""
    await site.change(part("bad"), restart=False)
    await site.run("pkill -f '/var/lib/quorate/fallback/x/judg[e]' || :; : >/var/lib/quorate/fallback/x/forsaken")
    await site.change(part("good and new"), restart=False)
    await asyncio.sleep(2.5)
    assert site.text("program") == "good and new"
    await site.run("systemctl restart x.service")
    await site.over()
    assert site.text("runs") == "good and new"


async def test_a_plan_knows_what_did_not_hold(site: Site) -> None:
    to = part("bad")
    await site.change(to)
    await site.over()
    kept = to.resources[0]
    assert isinstance(kept, Fallback)
    states = {
        resource.key: await site.root.state_of(resource)
        for resource in to.resources
        if isinstance(resource, File | Fallback)
    }

    def plan(of: Part) -> Plan:
        found = {resource.key: states.get(resource.key, resource.desired) for resource in of.resources}
        return foreseen(Compiled("join", (replace(of, component="system"),), context(cluster(THREE))), (), found)[0]

    (told,) = known_bad(plan(to)).values()
    assert told.startswith("h: this change of x was tried at 20")
    assert "did not answer within 3 s; no such flag; what ran before is back" in told
    assert known_bad(plan(part("bad in another way"))) == {}
    assert known_bad(plan(part("good and old", **{NEW: "x"}))) == {}


def test_what_runs_and_has_a_proof_has_something_to_go_back_to() -> None:
    compiled = compile_cluster(change())
    found = {(each.host, each.part) for each in compiled.resources if isinstance(each, Fallback)}
    assert found >= {("m1", "etcd"), ("m1", "apiserver"), ("m2", "scheduler"), ("n1", "kubelet"), ("b1", "balancer")}
    assert {host for host, _ in found} == set(THREE)
    kubelet = next(each for each in compiled.resources if isinstance(each, Fallback) and each.name == "kubelet")
    assert "/opt/kubernetes/bin/kubelet" in kubelet.paths
    assert "/etc/systemd/system/kubelet.service" in kubelet.paths
    for key in kubelet.watches:
        assert kubelet.key in compiled.needs[key], "it is kept before the first of its files changes"
    bare = replace(change(), facts=replace(change().facts, hosts={}))
    assert cluster(THREE)
    assert not [each for each in compile_cluster(bare).resources if isinstance(each, Fallback)]


def test_what_is_exchanged_has_nothing_to_go_back_to() -> None:
    """nginx is taken away before haproxy starts: without haproxy's files there would be no balancer at all."""
    new = cluster(THREE, load_balancer=LoadBalancer(kind="haproxy"))
    running = {
        name: replace(facts, running=frozenset({"nginx.service"})) for name, facts in change().facts.hosts.items()
    }
    given = context(new, cluster(THREE))
    compiled = compile_cluster(replace(given, facts=replace(given.facts, hosts=running)))
    assert Key("b1", "removal", "balancer") in compiled.component_of
    assert Key("b1", "fallback", "balancer") not in compiled.component_of
    assert Key("b1", "ready", "haproxy") in ancestors(compiled, Key("b2", "unit", "haproxy.service")), "still in turn"


def test_it_has_something_to_do_when_one_of_its_files_has() -> None:
    compiled = compile_cluster(change())
    path = Key("n1", "file", "/etc/systemd/system/kubelet.service")
    as_wanted = {
        resource.key: resource.desired for resource in compiled.resources if not isinstance(resource, Fallback)
    }
    plan, _ = foreseen(compiled, (), as_wanted | {path: {}})
    assert {step.key for step in plan.changes} == {
        *(path, Key("n1", "fallback", "kubelet"), Key("n1", "settled", "kubelet")),
    }
    proof = Key("n1", "ready", "node")
    assert {proof, path} <= ancestors(compiled, Key("n1", "settled", "kubelet")), "it is the last of the part"
    assert foreseen(compiled, (), as_wanted)[0].changes == ()
