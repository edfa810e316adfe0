"""Disks without room, on hosts and at the operator's: told with host, path and bytes; what runs is not harmed."""

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crashes import COUNT, FULL, applied, converged
from deployed import Deployed

SERVICES = (
    "systemctl show -p Id,ActiveState,MainPID etcd kube-apiserver kubelet kube-proxy containerd nginx keepalived | "
    "grep -v '^$'"
)


@contextmanager
def small_disk(deployed: Deployed, host: str, place: str, size: str = "1m") -> Iterator[Callable[[str], None]]:
    """A disk of that size at a place of a host; what is yielded changes the size."""
    deployed.run(f"mkdir -p {place}; mount -t tmpfs -o mode=0755,size={size} tmpfs {place}", host)
    try:
        yield lambda now: deployed.run(f"mount -o remount,size={now} {place}", host) and None
    finally:
        deployed.run(f"umount -l {place}", host)


def named(text: str, *parts: str) -> None:
    """Each part is in the text, and a number of bytes."""
    assert [part for part in (*parts, "bytes") if part not in text] == [], text
    assert any(character.isdigit() for character in text)


def text_of(told: Iterable[dict[str, Any]], *kinds: str) -> str:
    return "\n".join(json.dumps(event) for event in told if event["event"] in kinds)


def no_room_for_etcd(deployed: Deployed, host: str, place: str = "/var/lib/etcd") -> None:
    """Bare hosts, and no room where etcd will live: refused before anything is changed."""
    with small_disk(deployed, host, place):
        code, told = applied(deployed)
        assert code == 4, told
        named(text_of([event for event in told if event.get("status") == "failed"], "checked"), host, place)
        assert not any(event["event"] == "step-started" for event in told)
        print(text_of([event for event in told if event.get("status") == "failed"], "checked"))
        if COUNT >= FULL:  # etcd is given 90 s to answer
            code, told = applied(deployed, "--waive", f"disk@{host}")
            assert code == 7
            named(text_of(told, "step-failed"), host, f"{place} is full")
            print(text_of(told, "step-failed"))


def no_room_for_files(deployed: Deployed, host: str, place: str = "/opt/cni/bin") -> None:
    """A disk of a worker is full: told before, and when it is tried all the same. What ran goes on."""
    before = deployed.run(SERVICES)
    with small_disk(deployed, host, place) as resize:
        code, told = applied(deployed)
        assert code == 4, told
        named(text_of([event for event in told if event.get("status") == "failed"], "checked"), host, place)
        code, told = applied(deployed, "--waive", f"disk@{host}")
        assert code == 7, told
        failures = text_of(told, "step-failed")
        named(failures, host, f"{place}/", "not written; ", f"free on {place}", "No space left on device")
        print(failures)
        assert {event["host"] for event in told if event["event"] == "step-failed"} == {host}
        assert deployed.run(f"find {place} -name '*.quorate-new'", host)[host] == ""
        assert deployed.run(SERVICES) == before, "a service did not go on"
        resize("256m")
        code, told = applied(deployed)
        assert code == 0, told
        assert any(event["event"] == "step-done" and event["changed"] for event in told), "it did not go on"
        converged(deployed)
    deployed.quorate("apply", "--yes")
    converged(deployed)


def no_room_for_the_state(deployed: Deployed) -> None:
    """The operator's own disk is full: nothing begins, and the error has path and bytes."""
    state = deployed.file.parent / ".quorate"
    deployed.run("systemctl stop kubelet || :")
    before = deployed.run(SERVICES)
    copy = deployed.file.parent / "state.tar"
    subprocess.run(["tar", "-cf", str(copy), "-C", str(state), "."], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(state)], check=True)
    try:
        subprocess.run(["tar", "-xf", str(copy), "-C", str(state)], check=True)
        fill(state / "ballast")
        done = deployed.quorate("apply", "--yes", code=1)
        named(done.stderr, str(state), "No space left on device")
        print(done.stderr)
        assert deployed.run(SERVICES) == before, "something was done"
    finally:
        subprocess.run(["umount", str(state)], check=True)
        copy.unlink()
    deployed.quorate("apply", "--yes")
    converged(deployed)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return
