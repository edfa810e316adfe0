"""What other tools leave on a host, laid out in a root of its own and seen there by the preflight's own script."""

from dataclasses import replace
from pathlib import Path

import pytest
from own_root import Root
from preflight_world import judged, world

from quorate.preflight.check import World
from quorate.preflight.foreign import DATA
from quorate.preflight.traces import TOOLS, Tool
from quorate.report.findings import Status
from quorate.spec.cluster import Network

UNITS = "/etc/systemd/system"


async def seen(
    root: Root, made: str, *, host: str = "m1", live: str = "", on: World | None = None
) -> tuple[Status, str]:
    """What the preflight says of a host on which somebody made this; `live` is what systemd says of a service."""
    there = on or world(answers={})
    told = f"systemctl() {{ printf 'Id=%s\\nActiveState=active\\n' {live}; }}\n" if live else "systemctl() { :; }\n"
    text = DATA.sh(there, there.cluster.host(host))
    clean = "mkdir -p /etc/systemd/system; "
    answer = await root.via.run("h", f"{clean}{made}\n{told}{text}")
    found = judged(replace(there, answers={host: {"data": answer}}), "data", host)
    assert found
    return found


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.marks[0].startswith(("/etc/", "/var/lib/"))])
async def test_each_tool_is_named_with_its_traces_and_what_takes_them_away(root: Root, tool: Tool) -> None:
    mark = tool.marks[0]
    status, words = await seen(root, f"mkdir -p {mark.rpartition('/')[0]}; touch {mark}")
    assert status is (Status.FAILED if tool.alive else Status.WARNED)
    assert f"a cluster of {tool.name}'s, by {mark}: {tool.leave}" in words


async def test_a_host_of_kubeasz(root: Root) -> None:
    made = "mkdir -p /etc/kube-lb /etc/kubernetes/ssl /etc/etcd/ssl; touch " + " ".join(
        f"{UNITS}/{name}.service" for name in ("kube-lb", "kube-apiserver", "kubelet")
    )
    status, words = await seen(root, made)
    assert status is Status.WARNED, "nothing of it runs"
    assert f"kubeasz's, by /etc/kube-lb, {UNITS}/kube-lb.service, /etc/kubernetes/ssl, /etc/etcd/ssl: `ezctl" in words
    assert words.endswith(f"{UNITS}/kube-apiserver.service, {UNITS}/kubelet.service")
    status, words = await seen(root, made, live="kube-lb.service")
    assert status is Status.FAILED
    assert "/etc/etcd/ssl, and kube-lb.service: `ezctl destroy CLUSTER`" in words


async def test_units_are_a_strangers_unless_quorates_notes_have_them(root: Root) -> None:
    unit = f"{UNITS}/kube-apiserver.service"
    assert await seen(root, f"touch {unit}") == (Status.WARNED, f"something of another cluster is left: {unit}")
    status, words = await seen(root, f"touch {unit}", live="kube-apiserver.service")
    assert status is Status.FAILED
    assert words.endswith(f"run, or start with the host: {unit}")
    noted = f"touch {unit}; echo {unit} >/var/lib/quorate/made"
    assert await seen(root, noted, live="kube-apiserver.service") == (Status.PASSED, "")
    replaced = f"touch {unit}; : >/var/lib/quorate/made; mkdir -p /var/lib/quorate/found{UNITS}; "
    replaced += f"touch /var/lib/quorate/found{unit}"
    assert await seen(root, replaced, live="kube-apiserver.service") == (Status.PASSED, "")


async def test_a_pod_network_that_comes_before_ours(root: Root) -> None:
    names = "10-calico.conflist 10-calico.conflist.off 87-podman.conflist 10-quorate.conflist"
    made = f"mkdir -p /etc/cni/net.d; cd /etc/cni/net.d; touch {names}"
    status, words = await seen(root, made, host="n1")
    assert status is Status.FAILED
    assert words.endswith("than ours: rm /etc/cni/net.d/10-calico.conflist")
    assert await seen(root, made) == (Status.PASSED, ""), "no pods there"
    theirs = world(answers={}, network=Network(cni="none"))
    assert await seen(root, made, host="n1", on=theirs) == (Status.PASSED, "")
