"""Drop-ins beside our units, laid out in a root of its own: the script finds what systemd itself finds."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from own_root import Root
from preflight_world import change, judged, world

from quorate.preflight.check import World
from quorate.preflight.dropins import DROP_INS, drop_ins
from quorate.report.findings import Status
from quorate.resource.file import File
from quorate.resource.unit import Unit

KUBEADM = """\
# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS
"""
ETC, RUN, USR = "/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def there(*units: str, ours: str = "") -> World:
    resources = [Unit(host="n1", unit=unit) for unit in units or ("kubelet.service",)]
    files = [File(host="n1", path=ours, content="")] if ours else []
    return replace(world(answers={}), plan=change(*resources, *files))


def put(path: str, text: str) -> str:
    return f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{text}\nEND\n"


async def asked(root: Root, made: str, on: World) -> str:
    over = "mount -t tmpfs tmpfs /usr/lib/systemd/system; mkdir -p /etc/systemd/system\n"
    return await root.via.run("h", f"{over}{made}\n{DROP_INS.sh(on, on.cluster.host('n1'))}")


async def seen(root: Root, made: str, on: World | None = None) -> tuple[Status, str]:
    on = on or there()
    found = judged(replace(on, answers={"n1": {"drop-ins": await asked(root, made, on)}}), "drop-ins", "n1")
    assert found
    return found


async def test_the_drop_in_of_kubeadms_package(root: Root) -> None:
    path = f"{USR}/kubelet.service.d/10-kubeadm.conf"
    hidden = f"{ETC}/kubelet.service.d"
    assert await seen(root, put(path, KUBEADM)) == (
        Status.FAILED,
        f"{path} sets Environment, EnvironmentFile, ExecStart of kubelet.service "
        f"(mkdir -p {hidden}; ln -s /dev/null {hidden}/10-kubeadm.conf)",
    )
    fixed = f"{put(path, KUBEADM)}mkdir -p {hidden}; ln -s /dev/null {hidden}/10-kubeadm.conf"
    assert await seen(root, fixed) == (Status.PASSED, "")
    own = f"{ETC}/kubelet.service.d/x.conf"
    status, words = await seen(root, put(own, "[Service]\nUser=nobody"))
    assert (status, words) == (Status.FAILED, f"{own} sets User of kubelet.service (rm {own})")
    assert await seen(root, put(own, KUBEADM), there(ours=own)) == (Status.PASSED, ""), "what quorate writes itself"
    assert (await seen(root, put(own, KUBEADM), there("etcd.service")))[0] is Status.PASSED, "no unit of ours here"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[Service]\nLimitNOFILE=1048576\nNice=-5", Status.PASSED),
        ('[Service]\nEnvironment="HTTP_PROXY=http://p:3128" "NO_PROXY=10.0.0.0/8"\nEnvironment=GOGC=50', Status.PASSED),
        ("[Service]\nEnvironment=", Status.FAILED),
        ('[Service]\nEnvironment="HTTP_PROXY=http://p" "PATH=/x"', Status.FAILED),
        ("[Service]\nMemoryMax=1G", Status.WARNED),
        ("[Unit]\nConditionPathExists=/x", Status.FAILED),
        ("[Unit]\nAfter=x.service\n[Install]\nWantedBy=x.target", Status.PASSED),
        ("# Nice=1\n[Service]\nUser=\\\n# between\nx", Status.FAILED),
        ("[Service]\nDescription=a \\\nUser=x", Status.PASSED),
    ],
)
async def test_what_weighs_and_what_does_not(root: Root, text: str, status: Status) -> None:
    path = f"{RUN}/kubelet.service.d/a.conf"
    said, words = await seen(root, put(path, text))
    assert said is status
    assert path in words, "told, whatever it is"


async def test_one_file_for_all_services(root: Root) -> None:
    path = f"{ETC}/service.d/env.conf"
    status, words = await seen(root, put(path, "[Service]\nUser=x"), there("kubelet.service", "kube-proxy.service"))
    assert (status, words) == (Status.FAILED, f"{path} sets User of kubelet.service and 1 more (rm {path})")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
async def test_the_same_as_systemd_finds(root: Root) -> None:
    unit = "kube-controller-manager.service"
    text = "[Service]\nOdd=1"
    made = put(f"{ETC}/{unit}", "[Service]\nExecStart=/bin/true") + "".join(
        put(path, text)
        for path in (
            *(f"{ETC}/{unit}.d/a.conf", f"{USR}/{unit}.d/a.conf", f"{RUN}/{unit}.d/b.conf", f"{USR}/{unit}.d/b.conf"),
            *(f"{USR}/kube-.service.d/c.conf", f"{ETC}/kube-controller-.service.d/c.conf", f"{ETC}/service.d/c.conf"),
            *(f"{ETC}/service.d/d.conf", f"{USR}/{unit}.d/d.conf", f"{ETC}/kube.service.d/no.conf"),
            *(f"{USR}/{unit}.d/hidden.conf", f"{ETC}/{unit}.d/no.txt", f"/etc/systemd/system.control/{unit}.d/e.conf"),
        )
    )
    made += f"ln -s /dev/null {ETC}/{unit}.d/hidden.conf\n"
    ours = drop_ins(await asked(root, made, there(unit)))
    over = "mount -t tmpfs tmpfs /usr/lib/systemd/system; mkdir -p /etc/systemd/system\n"
    told = await root.via.run("h", f"{over}{made}systemd-analyze verify --man=no {ETC}/{unit} 2>&1 || :")
    assert {each.path for each in ours} == set(
        re.findall(r"^(/\S+\.conf):\d+: Unknown key (?:name )?'Odd'", told, re.MULTILINE)
    )
    assert len(ours) == 5
