"""One runtime has a node's pods: the scripts at work, with a Docker, a containerd and an API that are made up."""

import json
import subprocess
from pathlib import Path

import pytest

from quorate.render import carried, one_runtime
from quorate.spec.layout import BIN, LOADED

DOCKER = r"""#!/bin/sh
# Containers are files of in-docker/, with the image's id in them; what names it has is in a file of images/.
here=$(dirname "$0"); cd "$here/in-docker" || exit 1
number() { echo "$1" | cksum | cut -d ' ' -f 1; }
[ ! -e ../docker.down ] || { echo "no daemon" >&2; exit 1; }
case $* in
"ps -a --no-trunc --format"*) for each in *; do [ ! -e "$each" ] || echo "$(number "$each") $each"; done;;
"ps -aq --no-trunc --filter name=k8s_") ls | grep ^k8s_;;
"ps -a --format"*) ls;;
"inspect -f {{.Image}}"*) shift 3; cat "$@";;
"inspect -f {{if"*) shift 3; for id; do case $(cat ../images/"$id") in *@*) cat ../images/"$id";; esac; done;;
"inspect -f"*) shift 3; for id; do case $(cat ../images/"$id") in *@*) ;; *) cat ../images/"$id";; esac; done;;
"image inspect"*) grep -qxF "$3" ../loaded;;
"load -q") cat >>../loaded;;
"save"*) echo "$2";;
"stop"*) ;;
"rm -f -v"*) shift 3
  for id; do for each in *; do
    [ "$id" != "$(number "$each")" ] || [ -e ../stuck ] || rm "$each"
  done; done;;
*) echo "what is $*" >&2; exit 9;;
esac
"""
CTR = r"""#!/bin/sh
here=$(dirname "$0"); cd "$here/in-containerd" || exit 1
shift 2
case $* in
"containers ls -q") ls;;
"containers ls") echo "CONTAINER IMAGE RUNTIME"
  for each in *; do [ ! -e "$each" ] || echo "$each $(cat "$each") x"; done;;
"containers delete"*) rm "$3";;
"images ls -q") cat ../imported;;
"images import -") cat >>../imported;;
"images export -"*) echo "$4";;
tasks*) ;;
*) echo "what is $*" >&2; exit 9;;
esac
"""
SYSTEMCTL = r"""#!/bin/sh
case $1 in
show) case $(cat "$(dirname "$0")/asked") in
  containerd) echo "{ argv[]=kubelet --container-runtime=remote }";; *) echo "{ argv[]=kubelet --network-plugin=cni }";;
esac;;
esac
"""
CURL = r"""#!/bin/sh
for url; do :; done
here=$(dirname "$0")
case $url in */pods*) cat "$here/pods";; *) cat "$here/node";; esac
"""
PROGRAMS = {
    **{"docker": DOCKER, "ctr": CTR, "systemctl": SYSTEMCTL, "curl": CURL},
    "dockerd": "#!/bin/sh\necho 'Docker version 20.10.24+dfsg1, build 297e128'\n",
    "containerd": "#!/bin/sh\necho containerd github.com/containerd/containerd v1.6.38 abc\n",
}


class Node:
    """A host with both runtimes, and what the API says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("in-docker", "in-containerd", "images"):
            (folder / name).mkdir()
        for name, text in PROGRAMS.items():
            path = folder / name
            path.write_text(text)
            path.chmod(0o755)
        for name in ("imported", "loaded"):
            (folder / name).touch()
        self.asks("docker")
        self.says("docker://20.10.24", 0)

    def asks(self, kind: str) -> None:
        (self.folder / "asked").write_text(kind)

    def says(self, runtime: str, *ready: int) -> None:
        """What the API tells of the node, and of how many containers of each DaemonSet pod are ready (of two)."""
        (self.folder / "node").write_text(json.dumps({"status": {"nodeInfo": {"containerRuntimeVersion": runtime}}}))
        owner = {"metadata": {"ownerReferences": [{"kind": "DaemonSet", "name": "d"}]}}
        rows = [{"cells": [f"d-{n}", f"{has}/2", "Running", 0], "object": owner} for n, has in enumerate(ready)]
        rows.append({"cells": ["other", "0/2", "Running", 0], "object": {"metadata": {}}})
        (self.folder / "pods").write_text(json.dumps({"kind": "Table", "rows": rows}, indent=2))

    def starts(self, runtime: str, *names: str, image: str = "sha256:1") -> None:
        for name in names:
            (self.folder / f"in-{runtime}" / name).write_text(f"{image}\n")

    def has(self, runtime: str) -> list[str]:
        return sorted(path.name for path in (self.folder / f"in-{runtime}").iterdir())

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        for was, now in ((BIN, ""), (LOADED, "/loads"), ("/var/lib", "/lib")):
            script = script.replace(was, f"{self.folder}{now}")
        path = f"PATH={self.folder}:$PATH\n"
        script = script.replace("\nPATH=", f"\n{path}unused=")
        return subprocess.run(["sh", "-c", path + script], capture_output=True, text=True, check=False)

    def good(self, script: str) -> bool:
        return self.run(script).returncode == 0


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


EMPTIED = one_runtime.emptied("https://api", "n1")
GATE = one_runtime.gate("https://api", "n1")
PODS = ("k8s_app_pod_ns_1_0", "k8s_POD_pod_ns_1_0")


def test_all_containers_of_pods_end_that_docker_has_and_no_others(node: Node) -> None:
    node.starts("docker", *PODS, "own")
    assert node.good(one_runtime.alone())
    node.asks("containerd")
    assert not node.good(one_runtime.alone())
    done = node.run(EMPTIED)
    assert (done.returncode, done.stderr) == (0, "")
    assert node.has("docker") == ["own"]
    assert node.good(one_runtime.alone())


def test_the_way_back_ends_those_of_containerd(node: Node) -> None:
    node.starts("containerd", "aa", "bb")
    node.starts("docker", "own")
    assert not node.good(one_runtime.alone())
    assert node.good(EMPTIED)
    assert (node.has("containerd"), node.has("docker")) == ([], ["own"])


def test_one_that_does_not_end_is_seen(node: Node) -> None:
    node.starts("docker", *PODS)
    node.asks("containerd")
    (node.folder / "stuck").touch()
    assert not node.good(EMPTIED)


def test_a_docker_that_does_not_answer_is_not_taken_for_an_empty_one(node: Node) -> None:
    node.asks("containerd")
    (node.folder / "docker.down").touch()
    assert not node.good(one_runtime.alone())
    (node.folder / "docker").unlink()
    assert node.good(one_runtime.alone())


def test_addresses_and_notes_of_their_network_go_with_them(node: Node) -> None:
    node.starts("containerd", "aa11")
    cache, addresses = node.folder / "lib/cni/results", node.folder / "lib/cni/networks/quorate"
    for folder in (cache, addresses):
        folder.mkdir(parents=True)
    for name in ("aa11", "cc33"):
        (cache / f"quorate-{name}-eth0").write_text('{"netns":"/var/run/netns/x"}')
        (addresses / f"10.0.0.{name[-1]}").write_text(f"{name}\r\neth0")
    assert node.good(EMPTIED)
    assert [path.name for path in cache.iterdir()] == ["quorate-cc33-eth0"]
    assert [path.name for path in addresses.iterdir()] == ["10.0.0.3"]


def test_the_gate_opens_for_the_runtime_that_is_asked_for(node: Node) -> None:
    assert node.good(GATE)
    node.asks("containerd")
    assert not node.good(GATE)
    node.says("containerd://1.6.37")
    assert not node.good(GATE)
    node.says("containerd://1.6.38")
    assert node.good(GATE)


def test_the_gate_waits_for_as_many_ready_pods_of_daemonsets_as_there_were(node: Node) -> None:
    node.says("docker://20.10.24", 2, 2, 1)
    assert node.good(EMPTIED)
    node.says("docker://20.10.24", 2, 0, 1)
    assert not node.good(GATE)
    assert node.good(EMPTIED), "asked again it remembers"
    assert not node.good(GATE)
    node.says("docker://20.10.24", 2, 1, 2)
    assert node.good(GATE)


def test_it_says_what_keeps_the_gate_shut(node: Node) -> None:
    node.says("docker://20.10.24", 1)
    said = node.run(one_runtime.evidence("https://api", "n1")).stdout
    assert "asked for docker; containers of the other one: 0" in said
    assert "Ready: 0, before 0" in said
    assert '{"cells":["d-0","1/2","Running"' in said


def test_images_of_pods_are_carried_over_by_their_names(node: Node) -> None:
    node.starts("docker", "k8s_a", image="i1")
    node.starts("docker", "k8s_b", image="i2")
    node.starts("docker", "own", image="i3")
    for id, name in (("i1", "busybox:1"), ("i2", "reg.example:5000/a@sha256:77"), ("i3", "own:1")):
        (node.folder / "images" / id).write_text(f"{name}\n")
    assert node.run(carried.missing("containerd")).stdout == "missing=busybox:1\n"
    assert node.run(f"{carried.NAMES}by_digest").stdout == "reg.example:5000/a@sha256:77\n"
    assert node.good(carried.carry("containerd"))
    assert (node.folder / "imported").read_text() == "busybox:1\n"
    (node.folder / "imported").write_text("docker.io/library/busybox:1\n")
    assert node.run(carried.missing("containerd")).stdout == "missing=none\n"


def test_and_back(node: Node) -> None:
    node.starts("containerd", "aa", image="docker.io/library/busybox:1")
    node.starts("containerd", "bb", image="sha256:77")
    assert node.run(carried.missing("docker")).stdout == "missing=docker.io/library/busybox:1\n"
    assert node.good(carried.carry("docker"))
    assert node.run(carried.missing("docker")).stdout == "missing=none\n"


def test_without_docker_nothing_is_missing(node: Node) -> None:
    (node.folder / "docker").unlink()
    assert node.run(carried.missing("containerd")).stdout == "missing=none\n"
