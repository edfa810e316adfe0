"""The resource for container images, against a ctr of our own: a missing image and a missing pin are two things."""

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest

from quorate.core import Action, Blob, State
from quorate.plan.step import difference
from quorate.resource.kube import Image
from quorate.spec.layout import BIN, STATE

NAMES = ("quorate.local/coredns:1.14.6", "r.example/it's:1")
CTR = """#!/bin/sh
# Containerd's store as two lists; an archive is the names in it.
echo "$*" >>"$HOME/calls"
[ "$1 $2 $3" = '-n k8s.io images' ] || exit 9
shift 3
case $1 in
import) cat >>"$HOME/all" ;;
ls) case "$3" in '') cat "$HOME/all" ;; 'labels."io.cri-containerd.pinned"==pinned') cat "$HOME/pinned" ;; esac ;;
label) grep -qxF -- "$2" "$HOME/all" && [ "$3" = io.cri-containerd.pinned=pinned ] && echo "$2" >>"$HOME/pinned" ;;
*) exit 9 ;;
esac
"""


class Worker:
    """A host whose programs and notes lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("ctr", CTR), ("all", "docker.io/library/other:1\n"), ("pinned", "")):
            (folder / name).write_text(text)
        (folder / "ctr").chmod(0o755)

    def run(self, script: str, blob: Blob | None = None) -> str:
        here = script.replace(BIN, str(self.folder)).replace(STATE, str(self.folder))
        done = subprocess.run(
            ["sh", "-ec", here],
            input=blob.path.read_bytes() if blob else b"",
            stdout=subprocess.PIPE,
            check=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
        )
        return done.stdout.decode()

    def state(self, image: Image) -> State:
        return image.parse(self.run(image.probe().question)) or {}

    def converge(self, image: Image) -> list[Action]:
        actions = list(image.converge(self.state(image)))
        for action in actions:
            self.run(action.script, action.blob)
        return actions


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    content = "".join(f"{name}\n" for name in NAMES).encode()
    path = tmp_path / "image.gz"
    path.write_bytes(gzip.compress(content))
    blob = Blob(path, hashlib.sha256(content).hexdigest(), len(content))
    return Image(host="w1", references=NAMES, runtime="containerd", blob=blob)


def test_an_image_that_is_not_there_is_loaded_and_pinned(worker: Worker, image: Image) -> None:
    assert worker.state(image) == {}
    (action,) = worker.converge(image)
    assert action.blob is image.blob
    assert worker.state(image) == image.desired == {"archive": image.blob.sha256, "pinned": "yes"}
    assert (worker.folder / "pinned").read_text().splitlines() == list(NAMES)


@pytest.mark.parametrize("lost", NAMES)
def test_a_missing_pin_is_seen_and_mended_without_the_archive(worker: Worker, image: Image, lost: str) -> None:
    worker.converge(image)
    (worker.folder / "pinned").write_text("".join(f"{name}\n" for name in NAMES if name != lost))
    assert set(difference(image.desired, worker.state(image))) == {"pinned"}
    (action,) = worker.converge(image)
    assert action.blob is None
    assert worker.state(image) == image.desired


def test_one_name_that_is_gone_and_another_archive_are_seen(worker: Worker, image: Image) -> None:
    worker.converge(image)
    (note,) = worker.folder.glob("image-*")
    note.write_text("0" * 64 + "\n")
    assert set(difference(image.desired, worker.state(image))) == {"archive"}
    worker.converge(image)
    assert worker.state(image) == image.desired
    for store in ("all", "pinned"):
        (worker.folder / store).write_text(f"{NAMES[0]}\n")
    assert worker.state(image) == {}


def test_what_docker_has_is_not_pinned(image: Image) -> None:
    docker = Image(host="w1", references=NAMES, runtime="docker", blob=image.blob)
    assert docker.desired == {"archive": image.blob.sha256}
    (action,) = docker.converge({})
    assert "pinned" not in action.script
