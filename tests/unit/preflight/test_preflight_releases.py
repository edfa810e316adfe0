"""The preflight's checks of what will be installed: etcd, containerd, haproxy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from preflight_world import judged, spoken, status, world

from quorate.core import Blob
from quorate.preflight.check import World
from quorate.report.findings import Status
from quorate.spec.cluster import LoadBalancer, Runtime
from quorate.spec.supply import PackageFile
from quorate.spec.versions import table

P, F, WARN, U = Status.PASSED, Status.FAILED, Status.WARNED, Status.UNCHECKED


def of(versions: dict[str, str], kubernetes: str = "1.36", **file: Any) -> World:
    """A world whose source delivers these versions."""
    there = world(**file)
    supplied = replace(there.context.supply, versions=versions)
    return replace(there, context=replace(there.context, supply=supplied, minor=table(kubernetes)))


def test_haproxy_is_new_enough_for_the_way_to_etcd() -> None:
    """What is installed counts before what is offered; what quorate brings before both."""

    def on(host: str, answer: str, **file: Any) -> tuple[Status, str] | None:
        there = world(answers=spoken(host, "haproxy", answer), **file)
        bare = replace(there.context, supply=replace(there.context.supply, packages={}))
        return judged(replace(there, context=bare), "haproxy", host)

    assert on("m1", "offers 2.6.12-1+deb12u1") == (P, "haproxy 2.6.12-1+deb12u1")
    assert on("m1", "has 2.4.24-f58e9d1 2023/08/19\noffers 1.8.27")[0] is P  # type: ignore[index]
    assert on("m1", "has 2.2.9-2+deb11u6\noffers 2.6.12") == (F, "haproxy 2.2.9-2+deb11u6, 2.4 or later is needed")
    assert on("m1", "offers 1.8.27")[0] is F  # type: ignore[index]
    assert on("m1", "offers (none)")[0] is U  # type: ignore[index]
    assert on("m1", "")[0] is U  # type: ignore[index]
    assert on("n1", "offers 1.8.27") is None
    assert on("b1", "offers 1.8.27", load_balancer=LoadBalancer(kind="nginx")) is None
    assert on("b1", "offers 1.8.27", load_balancer=LoadBalancer(kind="haproxy"))[0] is F  # type: ignore[index]
    package = PackageFile("haproxy", "2.6.12-1", "haproxy_2.6.12-1_amd64.deb", Blob(Path("x"), "0" * 64, 1))
    there = world(answers=spoken("m1", "haproxy", "has 1.8.27"))
    bundled = replace(there.context.supply, packages={"haproxy": (package,)})
    assert judged(replace(there, context=replace(there.context, supply=bundled)), "haproxy", "m1") == (
        P,
        "haproxy 2.6.12-1",
    )


def test_releases_with_known_faults_and_those_below_what_is_tested() -> None:
    """Hard ones stop, soft ones are told; what the host has no share in says nothing."""

    def etcd(version: str) -> tuple[Status, str]:
        found = judged(of({"etcd": version, "containerd": "1.4.0"}), "releases", "m1")
        assert found
        return found

    assert etcd("3.6.16") == (P, "etcd 3.6.16")
    assert etcd("3.5.27")[0] is WARN
    assert etcd("3.6.8")[0] is WARN
    assert "3.6.9 does not" in etcd("3.6.8")[1]
    assert etcd("3.5.2")[0] is F
    assert etcd("3.4.45") == (F, "etcd 3.4.45, this Kubernetes wants 3.5.24 or later, before 3.8.0")

    def containerd(version: str, kubernetes: str) -> Status | None:
        return status(of({"containerd": version, "etcd": "3.5.2"}, kubernetes), "releases", "n1")

    assert containerd("2.3.7", "1.36") is P
    assert containerd("2.2.0", "1.36") is P
    assert containerd("1.7.35", "1.36") is WARN
    assert containerd("2.1.4", "1.35") is WARN
    assert containerd("1.7.27", "1.34") is WARN
    assert containerd("1.7.28", "1.34") is P
    assert containerd("1.5.9", "1.36") is F
    assert containerd("2.0.0", "1.22") is F
    assert judged(of({}), "releases", "m1") is None
    assert judged(of({"etcd": "3.5.2"}), "releases", "n1") is None
    assert judged(of({"containerd": "1.3.0"}, "1.20", runtime=Runtime(kind="docker")), "releases", "n1") is None
