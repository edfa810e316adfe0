"""Judges of a change of runtime: what is in Docker besides pods, and whether containerd can pull what pods need."""

from quorate.operation import runtimes
from quorate.preflight.check import Question, World
from quorate.preflight.running import some, whole
from quorate.render import docker_questions
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.outward import direct
from quorate.spec.rules.registries import HUB

SERVERS = {HUB: ("https://registry-1.docker.io",)}
"""Who answers for a registry of another name."""


def _leaves_docker(world: World, host: Host) -> bool:
    return host.has(Role.WORKER) and runtimes.former(world.context) == "docker"


def _ask_own(world: World, host: Host) -> str:
    return docker_questions.not_of_pods() if _leaves_docker(world, host) else ""


def _ask_registries(world: World, host: Host) -> str:
    c = world.cluster
    urls = {**SERVERS, **c.runtime.registry_mirrors}
    if not _leaves_docker(world, host):
        return ""
    given = c.os.proxy.url if c.os.proxy else ""
    return docker_questions.registries(urls, given, ",".join(direct(c)) if given else "*")


OWN = Question("what else is in Docker", _ask_own)
REGISTRIES = Question("registries of pods", _ask_registries)


def own(world: World, host: Host) -> Verdict | None:
    """Where Docker goes, nothing of anybody's goes with it."""
    if not _leaves_docker(world, host):
        return None
    if (lines := whole(world.answer(host, OWN.name))) is None:
        return unchecked("Docker does not answer")
    if not lines:
        return passed("pods alone")
    stays = world.cluster.runtime.keep_docker
    return passed(f"stays: {some(lines)}") if stays else failed(f"would go with Docker: {some(lines)}")


def registries(world: World, host: Host) -> Verdict | None:
    """What is not carried over can be pulled; what is, needs its registry only when it is gone."""
    if not _leaves_docker(world, host):
        return None
    if (lines := whole(world.answer(host, REGISTRIES.name))) is None:
        return unchecked("Docker does not answer")
    silent = [line.removeprefix("silent ") for line in lines if line.startswith("silent ")]
    bare = [line.removeprefix("digest ") for line in lines if line.startswith("digest ")]
    if lost := [name for name in bare if name.partition("/")[0] in silent]:
        return failed(f"no registry answers for {some(lost)}")
    return warned(f"{some(silent)} does not answer; what pods have of it is carried over") if silent else passed()
