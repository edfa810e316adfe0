"""The checks that count where the runtime is exchanged: the questions at work, and what is made of the answers."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from preflight_world import judged, world

from quorate.preflight import runtime_catalog
from quorate.preflight.check import World
from quorate.preflight.runner import script
from quorate.render import docker_questions
from quorate.report.findings import Status
from quorate.spec.cluster import Runtime
from quorate.spec.layout import BIN

P, F, WARN, U = Status.PASSED, Status.FAILED, Status.WARNED, Status.UNCHECKED
OWN, REGISTRIES = "what else is in Docker", "registries of pods"


def changing(answers: dict[str, str], *, was: str = "docker", keep: bool = False, now: str = "containerd") -> World:
    there = world(answers={"n1": answers}, established=True)
    then = there.cluster.model_copy(update={"runtime": Runtime(kind=was)})  # type: ignore[arg-type]
    goal = there.cluster.model_copy(update={"runtime": Runtime(kind=now, keep_docker=keep)})  # type: ignore[arg-type]
    context = replace(there.context, cluster=goal, established=then, former=(then, goal))
    return replace(there, context=context)


@pytest.mark.parametrize(
    ("check", "answer", "status", "words"),
    [
        ("docker", "asked", P, "pods alone"),
        ("docker", "container db\nvolume data\nasked", F, "would go with Docker: container db, volume data"),
        ("docker", "container db", U, "does not answer"),
        ("registries", "asked", P, ""),
        ("registries", "answers docker.io\ndigest docker.io/a@sha256:1\nasked", P, ""),
        ("registries", "silent docker.io\nasked", WARN, "docker.io does not answer; what pods have of it is carried"),
        (
            "registries",
            "digest reg.example/a@sha256:1\nsilent docker.io\nsilent reg.example\nasked",
            F,
            "no registry answers for reg.example/a@sha256:1",
        ),
        ("registries", "", U, "does not answer"),
    ],
)
def test_what_a_docker_that_is_about_to_go_tells(check: str, answer: str, status: Status, words: str) -> None:
    there = changing({OWN: answer, REGISTRIES: answer})
    found = judged(there, check, "n1")
    assert found is not None
    assert found[0] is status
    assert words in found[1]
    assert judged(there, check, "m1") is None


def test_a_docker_that_stays_keeps_what_is_in_it() -> None:
    found = judged(changing({OWN: "container db\nasked"}, keep=True), "docker", "n1")
    assert found == (P, "stays: container db")


def test_nothing_is_asked_where_no_docker_goes() -> None:
    own = {question.name for check in runtime_catalog.CHECKS for question in check.asks}
    for there, asked in (
        (changing({}), own),
        (changing({}, was="containerd", now="docker"), set()),
        (changing({}, was="containerd"), set()),
    ):
        host = there.cluster.host("n1")
        assert own & set(script(there, host)[1]) == asked
    assert "nodes" in script(changing({}), there.cluster.host("m1"))[1], "and what an upgrade asks"


DOCKER = """#!/bin/sh
case $* in
"ps -a --format"*) printf 'k8s_a_b\\ndb\\n';;
"volume ls -q") printf '%064d\\ndata\\n' 7;;
"ps -aq"*) echo 1;;
"inspect -f {{.Image}}"*) echo i1;;
"inspect -f {{if"*) echo reg.example:5000/a@sha256:77;;
"inspect -f"*) echo busybox:1;;
esac
"""
CURL = """#!/bin/sh
for url; do :; done
echo "$url" >>"$(dirname "$0")/asked"
case $url in https://mirror.example/*) ;; *) exit 7;; esac
"""


def run(folder: Path, text: str) -> list[str]:
    for name, program in (("docker", DOCKER), ("curl", CURL)):
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    script = f"PATH={folder}:$PATH\n{text.replace(BIN, str(folder))}"
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()


def test_containers_and_volumes_with_names_are_somebodys(tmp_path: Path) -> None:
    assert run(tmp_path, docker_questions.not_of_pods()) == ["container db", "volume data", "asked"]


def test_registries_are_asked_where_containerd_would(tmp_path: Path) -> None:
    urls = {"docker.io": ("https://gone.example", "https://mirror.example")}
    assert run(tmp_path, docker_questions.registries(urls)) == [
        "digest reg.example:5000/a@sha256:77",
        "answers docker.io",
        "silent reg.example:5000",
        "asked",
    ]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [
        *("https://gone.example/v2/", "https://mirror.example/v2/"),
        *("https://reg.example:5000/v2/", "http://reg.example:5000/v2/"),
    ]
