"""Kernel settings that others write, too: after a reboot ours count, and now `status` sees those that do not."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from host_answers import said
from own_net import Net, needs_root, own_net
from own_root import Root
from past_clusters import THREE, cluster, context
from preflight_world import judged, world

from quorate.component import system
from quorate.execute.observe import look
from quorate.execute.survey import parse
from quorate.plan.step import difference
from quorate.preflight.sysctl import FILES
from quorate.procedure import status, sysctls
from quorate.report.findings import Status
from quorate.resource.file import File
from quorate.resource.system import sysctl
from quorate.spec.facts import Facts
from quorate.spec.layout import SYSCTLS
from quorate.transport.local import LocalTransport

SYSTEMD = "/usr/lib/systemd/systemd-sysctl"
FORWARD = "net.ipv4.ip_forward"
HARDENING = "# CIS 3.1.1\nnet.ipv4.conf.all.rp_filter = 1\nnet.ipv4.ip_forward = 0\n"
LAYERS = (
    "for d in /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d; do mkdir -p $d; mount -t tmpfs tmpfs $d; done; "
    "if [ -e /etc/sysctl.conf ]; then mount --bind /dev/null /etc/sysctl.conf; fi"
)
"""Nothing but the files of a test is read, and nothing of this machine is written."""


def booted(folder: Path, **files: str) -> str:
    """What forwarding is after systemd's own program has read these files, named with their folder."""
    with own_net(Net, folder) as net:
        for path, text in files.items():
            (folder / path.replace("/", "!")).write_text(text)
        place = "".join(f"cp '{folder}/{path.replace('/', '!')}' '{path}'; " for path in files)
        inside = f"{LAYERS}; echo 1 >/proc/sys/net/ipv4/ip_forward; {place}{SYSTEMD}; cat /proc/sys/net/ipv4/ip_forward"
        argv = [
            "nsenter",
            f"--net=/proc/{net.holder}/ns/net",
            "--",
            "unshare",
            "--mount",
            "--",
            "/bin/sh",
            "-c",
            inside,
        ]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@needs_root
@pytest.mark.skipif(not shutil.which(SYSTEMD), reason="needs systemd-sysctl")
@pytest.mark.parametrize(
    "other", ["/etc/sysctl.d/99-hardening.conf", "/etc/sysctl.d/99-sysctl.conf", "/run/sysctl.d/z.conf"]
)
def test_our_file_comes_last_at_boot(tmp_path: Path, other: str) -> None:
    ours = {SYSCTLS: f"{FORWARD} = 1\n"}
    assert booted(tmp_path, **{other: HARDENING, "/etc/sysctl.d/90-quorate.conf": ours[SYSCTLS]}) == "0"
    assert booted(tmp_path, **{other: HARDENING} | ours) == "1"
    twin = "net.ipv4.conf.all.forwarding = 0\n"
    assert booted(tmp_path, **{other: twin} | ours) == "1", "one setting by another name"
    pattern = "net.ipv4.ip_forwar* = 0\n"
    assert booted(tmp_path, **{"/etc/sysctl.d/zzz.conf": pattern} | ours) == "1", "a pattern is not for what is named"
    assert booted(tmp_path, **{"/etc/sysctl.d/zzz.conf": HARDENING} | ours) == "0", "which the preflight tells"


def test_the_settings_lie_there() -> None:
    inputs = context(cluster(THREE))
    facts = {name: replace(each, sysctls=frozenset({FORWARD})) for name, each in inputs.facts.hosts.items()}
    inputs = replace(inputs, facts=Facts(facts))
    worker = inputs.cluster.host("n1")
    [file] = [one for one in system.resources(inputs, worker) if isinstance(one, File) and "sysctl" in one.path]
    assert (file.path, file.content) == (SYSCTLS, f"{FORWARD} = 1\n")
    assert system.sysctls(inputs, worker) == {FORWARD: "1"}


@needs_root
async def test_the_preflight_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "zzz.conf").write_text(HARDENING)
    (tmp_path / "99-a.conf").write_text("net/ipv4/ip_forward=0\n")
    (tmp_path / "masked.conf").write_text(HARDENING)
    place = (
        f"cp {tmp_path}/99-a.conf /etc/sysctl.d/; cp {tmp_path}/masked.conf /usr/lib/sysctl.d/zzzz.conf; "
        "ln -s /dev/null /etc/sysctl.d/zzzz.conf"
    )

    async def told(*more: str) -> tuple[Status, str]:
        inside = "; ".join([LAYERS, place, *more, 'exec "$@"'])
        via = LocalTransport({"n1": ("unshare", "--mount", "--", "/bin/sh", "-ec", inside, "sh")})
        seen = world(facts={"n1": {"sysctls": frozenset({FORWARD})}})
        answer = await via.run("n1", FILES.sh(seen, seen.cluster.host("n1")))
        verdict = judged(replace(seen, answers={"n1": {"sysctl": answer}}), "sysctl", "n1")
        assert verdict
        return verdict

    assert await told() == (Status.PASSED, f"{SYSCTLS} comes after /etc/sysctl.d/99-a.conf:1 ({FORWARD} = 0)")
    assert await told(f"cp {tmp_path}/zzz.conf /run/sysctl.d/") == (
        Status.FAILED,
        f"after a reboot /run/sysctl.d/zzz.conf:3 ({FORWARD} = 0) counts, not {SYSCTLS}",
    )


@needs_root
async def test_status_and_plan_see_a_running_value_and_apply_sets_it_back(tmp_path: Path) -> None:
    with own_net(Net, tmp_path) as net:
        root = Root(tmp_path)
        (root.etc / "ours").write_text(f"{FORWARD} = 1\nnet.ipv4.tcp_rmem = 4096 1 2\nnet.bridge.none = 1\n")
        inside = f"mkdir -p /etc/sysctl.d; cp /etc/test/ours {SYSCTLS}"
        enter = ("nsenter", f"--net=/proc/{net.holder}/ns/net", "--")
        root.via = LocalTransport({"h": (*enter, *root.via._prefixes["h"])})
        net.sh("echo 0 >/proc/sys/net/ipv4/ip_forward; echo '4096 1 2' >/proc/sys/net/ipv4/tcp_rmem")
        answer = await root.via.run("h", f"{inside}\n{sysctls.ASK}")
        assert answer.splitlines() == [f"{FORWARD} = 1 = 0", "net.bridge.none = 1 = "]
        resource = sysctl("h", FORWARD, "1")
        states, _ = await look([resource], root.via)
        assert difference(resource.desired, states[resource.key]) == {"value": ("0", "1")}
        await root.converge(resource)
        assert net.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
        answer = await root.via.run("h", f"{inside}\n{sysctls.ASK}")
        assert answer.splitlines() == ["net.bridge.none = 1 = "]


def test_status_says_what_breaks_and_how_to_mend_it() -> None:
    c = cluster(THREE)
    found = f"{FORWARD} = 1 = 0\nnet.bridge.bridge-nf-call-iptables = 1 = \nvm.max_map_count = 262144 = 65530\n"
    view = parse((), said(), {"sysctl": found})
    problems = status.judge(c, {"n1": view}, {}).problems
    assert [each for each in problems if "sets it back" in each] == [
        f"n1: {FORWARD} is 0, not 1: pods reach nothing beyond their own node; `quorate apply` sets it back",
        "n1: net.bridge.bridge-nf-call-iptables is not there, and should be 1: pods do not reach services that lead "
        "back to their own node; `quorate apply` sets it back",
        "n1: vm.max_map_count is 65530, not 262144; `quorate apply` sets it back",
    ]
    well = status.judge(c, {"n1": parse((), said(), {"sysctl": ""})}, {})
    assert not [each for each in well.problems if "sysctl" in each or FORWARD in each]
    assert well.as_dict()["sysctls"] == {}
