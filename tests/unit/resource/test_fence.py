"""A fence: conditions of units that systemd itself reads, up and down, and only by whose it is."""

from dataclasses import replace
from pathlib import Path

import pytest
from own_root import OURS, Root

from quorate.core import CommandFailed
from quorate.resource.fence import Fence

UP = Fence(host="h", what="etcd", id="4711", units=("etcd.service", "kube-apiserver.service"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    made = Root(tmp_path, (*OURS, "usr/local/sbin", "etc/systemd/system"))
    systemctl = tmp_path / "usr/local/sbin/systemctl"
    systemctl.write_text("#!/bin/sh\necho $* >>/etc/test/asked\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return made


def files(root: Root) -> list[str]:
    units = root.etc.parents[1] / "etc/systemd/system"
    return sorted(str(path.relative_to(units)) for path in units.rglob("*"))


async def test_it_goes_up_and_down_and_systemd_is_told(root: Root) -> None:
    assert await root.state_of(UP) == {"of": "nobody", "units": "0"}
    await root.converge(UP)
    assert await root.state_of(UP) == UP.desired == {"of": "4711", "units": "2"}
    folders = ["etcd.service.d", "kube-apiserver.service.d"]
    assert files(root) == sorted([*folders, *(f"{folder}/quorate-fence.conf" for folder in folders)])
    assert (root.state / "fence/etcd").read_text() == "4711\n"
    down = replace(UP, up=False)
    assert await root.state_of(down) == {"opened": "nobody", "units": "2"}
    await root.converge(down)
    assert await root.state_of(down) == down.desired == {"opened": "4711", "units": "0"}
    assert await root.state_of(UP) == {"of": "nobody", "units": "0"}
    assert files(root) == []
    assert (root.etc / "asked").read_text() == "daemon-reload\n" * 2


@pytest.mark.parametrize("up", [True, False])
async def test_that_of_another_operation_is_left_alone(root: Root, up: bool) -> None:
    await root.converge(UP)
    with pytest.raises(CommandFailed) as refused:
        await root.converge(replace(UP, id="other", up=up))
    assert "the fence of another operation: 4711" in refused.value.stderr
    assert await root.state_of(UP) == UP.desired


async def test_those_of_a_host_are_opened_one_by_one(root: Root) -> None:
    other = replace(UP, what="controllers", units=("kube-scheduler.service",))
    for fence in (UP, other, replace(UP, up=False)):
        await root.converge(fence)
    assert await root.state_of(other) == other.desired
    assert files(root) == ["kube-scheduler.service.d", "kube-scheduler.service.d/quorate-fence.conf"]


async def test_half_a_fence_is_seen_and_mended(root: Root) -> None:
    await root.converge(UP)
    (root.etc.parents[1] / "etc/systemd/system/etcd.service.d/quorate-fence.conf").unlink()
    assert await root.state_of(UP) == {"of": "4711", "units": "1"}
    await root.converge(UP)
    assert await root.state_of(UP) == UP.desired


async def test_destroy_takes_it_away(root: Root) -> None:
    await root.converge(UP)
    await root.remove(UP)
    assert files(root) == []
    assert list((root.state / "fence").iterdir()) == []


async def test_systemd_itself_judges_the_condition(root: Root) -> None:
    await root.converge(UP)
    text = (root.etc.parents[1] / "etc/systemd/system/etcd.service.d/quorate-fence.conf").read_text()
    (word,) = (line for line in text.splitlines() if line.startswith("Condition"))
    await root.remove(UP)
    ask = f"systemd-analyze condition '{word}' >/dev/null 2>&1 && echo starts || echo waits"
    assert "systemd" in await root.via.run("h", "systemd-analyze --version")
    assert (await root.via.run("h", ask)).strip() == "starts"
    await root.converge(UP)
    assert (await root.via.run("h", ask)).strip() == "waits"
