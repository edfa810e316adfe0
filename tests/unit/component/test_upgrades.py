"""What programs that upgrade by themselves are told, read by the programs that read it: perl and apt."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from own_root import OURS, Root
from preflight_world import judged, world

from quorate.component import system
from quorate.component.upgrades import GONE_S, left_out, needrestart, upgrades, wait, waits
from quorate.plan.step import difference
from quorate.preflight.check import World
from quorate.report.findings import Status
from quorate.resource.file import File
from quorate.resource.system import Setting
from quorate.spec.layout import APT_UPGRADES, LOCK, NEEDRESTART
from quorate.spec.processes import unit_names


def files(there: World, host: str) -> dict[str, str]:
    resources = system.resources(there.context, there.cluster.host(host))
    return {resource.path: resource.content for resource in resources if isinstance(resource, File)}


def test_who_gets_what() -> None:
    there = world()
    for host, packages in (("m1", {"haproxy"}), ("b1", {"nginx", "keepalived"}), ("n1", set())):
        has = files(there, host)
        assert NEEDRESTART in has
        assert {name for name in ("haproxy", "nginx", "keepalived") if name in has.get(APT_UPGRADES, "")} == packages
    rpm = world(facts={"b1": {"package_manager": "dnf"}})
    assert not {NEEDRESTART, APT_UPGRADES} & set(files(rpm, "b1"))


async def test_they_come_and_go_as_any_file(tmp_path: Path) -> None:
    there, root = (
        world(),
        Root(tmp_path, (*OURS, "etc/needrestart", "etc/apt/apt.conf.d", "etc/quorate", "etc/systemd")),
    )
    ours = upgrades(there.context, there.cluster.host("b1"))
    resources = [replace(resource, host="h") for resource in ours if not isinstance(resource, Setting)]
    for resource in resources:
        await root.converge(resource)
        assert difference(resource.desired, await root.state_of(resource)) == {}
    assert (tmp_path / NEEDRESTART[1:]).read_text() == needrestart()
    assert [path.name for path in (tmp_path / "etc/apt/apt.conf.d").iterdir()] == ["52quorate-upgrades"]
    drop_in = tmp_path / "etc/systemd/system/apt-daily-upgrade.service.d/50-quorate.conf"
    assert drop_in.read_text() == waits()
    for resource in reversed(resources):
        await root.remove(resource)
    assert not (tmp_path / "etc/systemd/system").exists()
    assert not [*(tmp_path / "etc/needrestart").iterdir(), *(tmp_path / "etc/apt/apt.conf.d").iterdir()]


async def test_they_wait_for_whoever_changes_the_cluster(tmp_path: Path) -> None:
    """As long as the last sign of life is young."""
    root = Root(tmp_path)
    script = tmp_path / "wait"
    script.write_text(wait())
    ask = (
        f"mkdir -p {LOCK}; read -r up _ </proc/uptime; up=${{up%.*}}\n"
        f"waits() {{ if timeout 1 sh {script}; then echo no; else echo yes; fi; }}\n"
        f"waits; printf 't record\\n%s\\n' $((up - {GONE_S} - 1)) >{LOCK}/holder; waits\n"
        f"echo $((up - 5)) >>{LOCK}/holder; waits; echo 'torn' >>{LOCK}/holder; waits"
    )
    assert (await root.via.run("h", ask)).split() == ["no", "no", "yes", "no"]


def test_systemd_reads_what_makes_them_wait(tmp_path: Path) -> None:
    unit = tmp_path / "packages.service"
    unit.write_text("[Unit]\nDescription=upgrades\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (folder := tmp_path / "packages.service.d").mkdir()
    (folder / "50-quorate.conf").write_text(waits())
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("perl"), reason="needs perl")
def test_needrestart_leaves_our_services_alone(tmp_path: Path) -> None:
    """Its configuration is Perl, ours is read after its own; the first pattern that fits says whether to restart."""
    ours = tmp_path / "50-quorate.conf"
    ours.write_text(needrestart())
    others = ("ssh.service", "nginx-exporter.service", "my-etcd.service", "etcd.service.old", "kubelet@1.service")
    reader = tmp_path / "reader.pl"
    reader.write_text(
        "use strict; use warnings FATAL => 'all'; our %nrconf = (override_rc => {qr(^dbus) => 0});\n"
        "my $file = shift; open my $in, '<', $file or die; local $/; eval <$in>; die $@ if $@;\n"
        "for my $unit (@ARGV) { my $restart = 1; for my $re (sort keys %{$nrconf{override_rc}}) {\n"
        "next unless $unit =~ /$re/; $restart = $nrconf{override_rc}{$re}; last } print qq($unit $restart\\n) }\n"
    )
    argv = ["perl", str(reader), str(ours), *unit_names(), "dbus.service", *others]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    said = dict(line.split() for line in done.stdout.splitlines())
    assert {unit for unit, restart in said.items() if restart == "1"} == set(others)


@pytest.mark.skipif(not shutil.which("apt-config"), reason="needs apt")
def test_unattended_upgrades_leave_the_balancers_packages_out(tmp_path: Path) -> None:
    """apt adds ours to what is there; unattended-upgrades matches from the beginning of a name."""
    (tmp_path / "50unattended-upgrades").write_text('Unattended-Upgrade::Package-Blacklist { "linux-"; };\n')
    (tmp_path / "52quorate-upgrades").write_text(left_out(("nginx", "keepalived", "haproxy")))
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::Etc::parts "{tmp_path}";\n#clear DPkg;\n')
    argv = ["apt-config", "dump", "--format", "%F %v%n", "Unattended-Upgrade"]
    done = subprocess.run(argv, env={"APT_CONFIG": str(config), "PATH": "/usr/bin"}, capture_output=True, text=True)
    rows = (line.split(" ", 1) for line in done.stdout.splitlines())
    patterns = [value for key, value in rows if key == "Unattended-Upgrade::Package-Blacklist::" and value]
    names = (
        "linux-image",
        "nginx",
        "nginx-common",
        "libnginx-mod-stream",
        "keepalived",
        "haproxy",
        "haproxyctl",
        "curl",
    )
    out = {name for name in names if any(re.match(pattern, name) for pattern in patterns)}
    assert out == set(names) - {"haproxyctl", "curl"}


AUTOMATIC = "timer dnf-automatic.timer\nset apply_updates = yes"


def test_automatic_upgrades_elsewhere_are_told() -> None:
    rpm = {name: {"package_manager": "dnf"} for name in ("b1", "n1")}

    def seen(answer: str, host: str = "b1") -> tuple[Status, str] | None:
        there = world(facts=rpm)
        return judged(replace(there, answers={host: {"upgrades": answer}}), "upgrades", host)

    assert seen("asked") == (Status.PASSED, "")
    status, words = seen(f"asked\n{AUTOMATIC}") or (None, "")
    assert status is Status.WARNED
    assert words == (
        "dnf-automatic.timer may restart nginx, keepalived on several hosts at once: "
        "excludepkgs=nginx*,keepalived under [base] in /etc/dnf/automatic.conf"
    )
    assert seen("asked\ntimer dnf-automatic.timer\nset apply_updates = no") == (Status.PASSED, "")
    assert (seen("asked\ntimer dnf-automatic-install.timer") or (None,))[0] is Status.WARNED
    assert seen(f"asked\n{AUTOMATIC}\nset excludepkgs = kernel*,nginx*,keepalived") == (Status.PASSED, "")
    assert seen("") == (Status.UNCHECKED, "the host does not tell")
    assert seen("", "n1") is None
    assert judged(world(), "upgrades", "b1") == (Status.PASSED, f"nginx, keepalived are left out by {APT_UPGRADES}")
