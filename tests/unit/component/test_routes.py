"""Routes between pods: the script with the real ip and iptables, in a network of its own; what a new worker changes."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import own_net
import pytest
from own_net import needs_root

from quorate.component import cni
from quorate.component.context import Context
from quorate.core import Blob
from quorate.render.sh import quote
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

SHELLS = (("/bin/sh",), ("bash", "--posix"))
OURS = "ip -4 route show proto 109"
PLUGINS = {name: Blob(Path("/nonexistent"), "0" * 64, 1) for name in cni.PLUGINS}
SERVICE = "/etc/systemd/system/quorate-routes.service"


def context(workers: int, **network: str) -> Context:
    """A master and workers, whose pods are in 10.244.1.0/24 and so on."""
    hosts = [{"name": "m", "address": "10.0.0.100", "roles": ["control-plane", "etcd"]}]
    hosts += [{"name": f"w{n}", "address": f"10.0.0.{n}", "roles": ["worker"]} for n in range(1, workers + 1)]
    cluster = Cluster.model_validate({"name": "c", "hosts": hosts, "network": network})
    cidrs = {f"w{n}": f"10.244.{n}.0/24" for n in range(1, workers + 1)}
    return Context(cluster, Facts(pod_cidrs=cidrs), Supply(binaries=PLUGINS), Secrets({}, {}), table("1.36"))


def resources(given: Context, host: str = "m") -> list[Resource]:
    return list(cni.resources(given, given.cluster.host(host)))


def files(given: Context, host: str = "m") -> dict[str, str]:
    return {resource.path: resource.content for resource in resources(given, host) if isinstance(resource, File)}


def check(given: Context) -> str:
    [ready] = [resource for resource in resources(given) if isinstance(resource, Ready)]
    return ready.check.replace(f"/bin/sh {cni.ROUTES}.check", ":")


def test_a_new_worker_changes_the_list_of_the_others_and_nothing_else() -> None:
    few, more = files(context(2)), files(context(3))
    assert {path for path in few if few[path] != more[path]} == {cni.LIST}
    [unit] = [resource for resource in resources(context(2)) if isinstance(resource, Unit)]
    assert unit.reload
    assert {cni.LIST, cni.ROUTES, f"{cni.ROUTES}.check", SERVICE} == set(unit.loads)
    assert "ExecStopPost" not in few[SERVICE], "a restart takes no route away"
    assert "kill -HUP" in few[SERVICE]


def test_another_script_is_another_unit_file() -> None:
    one, two = files(context(1)), files(context(1, pod_cidr="10.240.0.0/12"))
    assert one[cni.ROUTES] != two[cni.ROUTES]
    assert one[SERVICE] != two[SERVICE]


def test_a_worker_has_routes_to_the_others_and_none_to_itself() -> None:
    given = context(3)
    assert files(given, "w2")[cni.LIST] == "10.244.1.0/24 via 10.0.0.1\n10.244.3.0/24 via 10.0.0.3\n"
    assert files(context(1), "w1")[cni.LIST] == ""
    # A worker without a part of the pod network yet.
    known = replace(given, facts=Facts(pod_cidrs={"w2": "10.244.2.0/24", "w3": "10.244.3.0/24"}))
    assert files(known, "w2")[cni.LIST] == "10.244.3.0/24 via 10.0.0.3\n"


class Net(own_net.Net):
    """A namespace with a wire in 10.0.0.0/24, and the script in a folder of this machine."""

    @property
    def list(self) -> Path:
        return self.folder / "routes.list"

    def routes(self) -> set[str]:
        return {line.split(" dev ")[0] for line in self.sh(OURS).splitlines()}

    def want(self, *pairs: str) -> set[str]:
        """Write the list as a File resource does: it is replaced whole."""
        part = self.list.with_suffix(".part")
        part.write_text("".join(f"{pair}\n" for pair in pairs))
        part.rename(self.list)
        return set(pairs)

    def has(self, wanted: set[str], seconds: float = 20) -> bool:
        """Whether soon exactly these routes are there."""
        return self.within(seconds, lambda: self.routes() == wanted)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with own_net.own_net(Net, tmp_path) as made:
        wire = "ip link add e0 type veth peer name e1; ip addr add 10.0.0.100/24 dev e0; ip link set e1 up"
        if made.sh(f"{wire}; ip link set e0 up; iptables -w -S", check=False) != "0":
            pytest.skip("no iptables here")
        for name, path in {"routes": cni.ROUTES, "routes.check": f"{cni.ROUTES}.check"}.items():
            (tmp_path / name).write_text(files(context(3))[path])
        yield made


ONE, TWO, THREE = (f"10.244.{n}.0/24 via 10.0.0.{n}" for n in (1, 2, 3))


def chains(net: Net) -> list[str]:
    """The rules of the two tables, without what belongs to nobody."""
    rules = net.sh("iptables -w -t filter -S; iptables -w -t nat -S").splitlines()
    return [rule for rule in rules if "QUORATE" in rule]


@needs_root
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_change_of_the_list_is_there_at_once_and_touches_no_other_route(net: Net, shell: tuple[str, ...]) -> None:
    wanted = net.want(ONE, TWO)
    service = net.begin(*shell, str(net.folder / "routes"))
    assert net.within(20, lambda: net.routes() == wanted and len(chains(net)) == 9)
    watch = net.begin("ip", "monitor", "route")
    time.sleep(0.3)
    for new in ([ONE, TWO, THREE], [ONE, THREE], [ONE, THREE.replace("0.3", "0.9", 1), TWO], [ONE]):
        wanted = net.want(*new)
        os.kill(service.pid, signal.SIGHUP)
        assert net.has(wanted, 15), net.sh(OURS)
    # Many at once, also while a round runs, end in what the last one found.
    for number in range(10):
        wanted = net.want(ONE, f"10.244.5.0/24 via 10.0.0.{number + 10}")
        os.kill(service.pid, signal.SIGHUP)
    assert net.has(wanted, 15)
    assert service.poll() is None
    seen = net.end(watch)
    assert "10.244.3.0/24 via 10.0.0.3" in seen
    assert "10.244.1.0/24" not in seen, seen
    sleeps = f"pgrep -g {service.pid} -x sleep | wc -l"
    assert net.within(1, lambda: net.sh(sleeps) == "1\n")
    said = net.end(service)
    assert "ommand failed" not in said, said
    assert net.routes() == wanted, "the stop alone takes nothing away"
    net.sh(f"{' '.join(shell)} {net.folder}/routes leave")
    assert net.routes() == set()
    assert chains(net) == []


@needs_root
def test_another_way_takes_the_old_ones_place_without_a_gap(net: Net) -> None:
    """Also where the old one is of a version of ours, or of somebody, that gave it no protocol."""
    net.sh("ip route add 10.244.1.0/24 via 10.0.0.1; ip route add 10.9.0.0/16 via 10.0.0.9 proto static")
    wanted = net.want(ONE, TWO)
    watch = net.begin("ip", "monitor", "route")
    time.sleep(0.3)
    service = net.begin("/bin/sh", str(net.folder / "routes"))
    assert net.has(wanted)
    wanted = net.want(ONE, "10.244.2.0/24 via 10.0.0.22")
    os.kill(service.pid, signal.SIGHUP)
    assert net.has(wanted, 15)
    assert "Deleted" not in net.end(watch)
    assert "10.244.1.0/24 via 10.0.0.1 dev e0 proto 109" in net.sh("ip route")
    net.sh(f"/bin/sh {net.folder}/routes leave")
    assert net.sh("ip route").count("\n") == 2, "the wire's, and somebody's"


@needs_root
def test_what_somebody_takes_comes_back(net: Net) -> None:
    wanted = net.want(ONE, TWO)
    script = net.folder / "routes"
    script.write_text(script.read_text().replace("sleep 10", "sleep 0.2"))
    net.begin("/bin/sh", str(script))
    assert net.within(20, lambda: net.routes() == wanted and len(chains(net)) == 9)
    before = chains(net)

    def back() -> bool:
        return net.routes() == wanted and sorted(chains(net)) == sorted(before)

    for harm in (
        "ip route delete 10.244.1.0/24; ip route add 10.244.8.0/24 via 10.0.0.8 proto 109",
        "ip route replace 10.244.2.0/24 via 10.0.0.77",
        "iptables -w -D FORWARD -j QUORATE-PODS",
        # Tried until it works: the watch may be back between both.
        "until iptables -w -F && iptables -w -X QUORATE-PODS 2>/dev/null; do :; done",
        "iptables -w -t nat -F",
        "iptables -w -F QUORATE-PODS; iptables -w -t nat -F QUORATE-MASQUERADE",
    ):
        net.sh(harm)
        if "replace" not in harm:
            assert net.sh(f"/bin/sh {script}.check") or back(), "the check names it until it is back"
        assert net.within(15, back), harm
    assert net.within(15, lambda: net.sh(f"/bin/sh {script}.check") == "")
    net.list.unlink()
    time.sleep(0.5)
    assert net.routes() == wanted, "who can't read the list takes nothing away"


@needs_root
def test_what_runs_is_never_another_script_than_the_one_on_the_disk(net: Net) -> None:
    """Somebody edits the script and restarts the service; apply puts the script back and reloads."""
    script = net.folder / "routes"
    good = script.read_text()
    script.write_text(good.replace("proto 109", "proto 55"))
    wanted = net.want(ONE)
    service = net.begin("/bin/sh", str(script))
    assert net.within(20, lambda: "proto 55" in net.sh("ip route"))
    script.write_text(good)
    os.kill(service.pid, signal.SIGHUP)
    assert net.has(wanted, 15)
    assert service.poll() is None


@needs_root
def test_lines_that_are_no_routes_harm_nothing(net: Net, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hostile = [
        f"$(touch {mark})",
        f"`touch {mark}`",
        f"10.244.7.0/24 via 10.0.0.7; touch {mark}",
        "default via 10.0.0.9",
    ]
    net.want("", "-force", *hostile, "10.244.6.0/24 via 10.9.9.9", "*", "\\", "10.244.4.0/33 via 10.0.0.4", ONE)
    service = net.begin("/bin/sh", str(net.folder / "routes"))
    assert net.within(20, lambda: ONE in net.routes())
    os.kill(service.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert net.routes() == {ONE}
    assert "default" not in net.sh("ip route")
    assert not mark.exists()


@needs_root
def test_the_gate_sees_a_wrong_way_a_missing_route_and_a_stale_one(net: Net) -> None:
    def passes(given: Context) -> bool:
        return net.sh(f"sh -c {quote(check(given))}", check=False) == "0"

    given = context(2)
    assert not passes(given)
    net.sh("ip route add 10.244.2.0/24 via 10.0.0.2 proto 109; ip route add 10.244.1.0/24 via 10.0.0.1")
    assert not passes(given), "a route of somebody else does not count"
    net.sh("ip route replace 10.244.1.0/24 via 10.0.0.9 proto 109")
    assert not passes(given)
    net.sh("ip route replace 10.244.1.0/24 via 10.0.0.1 proto 109; ip route add 10.5.0.0/16 via 10.0.0.5")
    assert passes(given)
    assert not passes(context(1)), "a stale route is left"
    assert not passes(context(3))
    net.sh("ip route flush proto 109")
    assert passes(context(0))
