"""Proxies of hosts: nothing inside the cluster goes through one; image pulls and packages do where the file says so."""

import inspect
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from own_net import needs_root
from own_root import Root
from past_clusters import context
from preflight_world import judged, world
from staging import compile_cluster

from quorate.component.context import Context
from quorate.conformance.leftovers import Api
from quorate.core import PlanError, SpecError
from quorate.execute import batch, named_files
from quorate.plan.discreet import hide
from quorate.plan.step import Plan, Step
from quorate.preflight.way_out import PROXIES
from quorate.procedure.adopt import missing
from quorate.report.findings import Status
from quorate.resource.file import File
from quorate.resource.package import Packages
from quorate.resource.removal import Removal
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Os
from quorate.spec.load import load
from quorate.spec.outward import VARIABLES, direct, variables
from quorate.spec.sections import Proxy
from quorate.transport.local import LocalTransport

URL = "http://10.0.9.5:3128"
LOGIN = "pull:p@ss/w:rd"
WITH_LOGIN = "http://pull:p%40ss%2Fw%3Ard@10.0.9.5:3128"


def cluster(proxy: object = None, **more: Any) -> Cluster:
    hosts = (
        {"name": "m1", "address": "10.0.9.11", "roles": ["control-plane", "etcd", "load-balancer"]},
        {"name": "n1", "address": "10.0.9.14", "roles": ["worker"], "node_name": "node-one"},
    )
    file = {"name": "c", "versions": {"kubernetes": "1.20.2"}, "hosts": hosts, "os": {"proxy": proxy} if proxy else {}}
    return Cluster.model_validate({**file, "endpoint": {"vip": "10.0.9.100"}, **more})


def given(now: Cluster, was: Cluster | None = None, login: str = "") -> Context:
    return replace(context(now, was), proxy_login=login)


def files(c: Context) -> dict[tuple[str, str], File]:
    return {(one.host, one.path): one for one in compile_cluster(c).resources if isinstance(one, File)}


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server on this machine."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"direct")

        def log_message(self, format: str, *args: object) -> None:
            pass

    answers = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=answers.serve_forever, daemon=True).start()
    yield answers.server_port
    answers.shutdown()
    answers.server_close()


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login with proxies at which nobody answers."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "localhost" if name.lower() == "no_proxy" else "http://127.0.0.9:9")


def asked(url: str) -> str:
    return subprocess.run(["curl", "-s", "--max-time", "2", url], capture_output=True, text=True, check=False).stdout


async def test_a_script_asks_nobody_through_the_proxies_of_its_login(login: None, server: int) -> None:
    url = f"http://127.0.0.1:{server}/"
    assert asked(url) != "direct", "the proxy is in the way of a plain curl"
    via = LocalTransport()
    assert await via.run("h", f"curl -sf --max-time 2 {url}") == "direct"
    assert "_proxy=" not in (await via.run("h", "env; sh -c env")).lower()


SOURCES = sorted(Path(inspect.getfile(batch)).parents[1].rglob("*.py"))
ASKS = re.compile(r"""curl(?: |", ")-[a-z][^\n]*""")
"""A request by curl: all that is written after it on its line."""
ELSEWHERE = ("--unix-socket", "-V")


def test_no_curl_takes_a_proxy_from_roots_curlrc() -> None:
    """Variables are gone by then; what ~/.curlrc says holds for every curl that does not say otherwise."""
    asks = [each for path in SOURCES for each in ASKS.findall(path.read_text())]
    assert len(asks) > 20
    assert [each for each in asks if "noproxy" not in each and not any(word in each for word in ELSEWHERE)] == []


async def test_the_preflight_sees_them_nevertheless(login: None) -> None:
    seen = world(answers={})
    said = await LocalTransport().run("n1", PROXIES.sh(seen, seen.cluster.host("n1")))
    verdict = judged(replace(seen, answers={"n1": {"proxies": said}}), "proxies", "n1")
    assert verdict is not None
    assert "the login: http://127.0.0.9:9" in verdict[1] or "/etc/environment" in verdict[1]


async def test_the_preflight_asks_the_files_proxy(server: int) -> None:
    async def told(port: int) -> tuple[Status, str]:
        seen = world(os=Os(proxy=Proxy(url=f"http://127.0.0.1:{port}")))
        said = await LocalTransport().run("n1", PROXIES.sh(seen, seen.cluster.host("n1")))
        verdict = judged(replace(seen, answers={"n1": {"proxies": said}}), "proxies", "n1")
        assert verdict
        return verdict

    assert await told(server) == (Status.PASSED, f"http://127.0.0.1:{server}")
    assert await told(9) == (Status.WARNED, "http://127.0.0.1:9 does not answer")


def test_kubectl_on_this_machine_uses_none(login: None, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "kubectl").chmod(0o755)
    assert "_proxy=" not in Api(tmp_path / "kubectl", tmp_path / "config").ask("get").lower()


def unset(unit: File) -> set[str]:
    [line] = [line for line in unit.content.splitlines() if line.startswith("UnsetEnvironment=")]
    return set(line.partition("=")[2].split())


@pytest.mark.parametrize("balancer", ["nginx", "haproxy"])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_no_service_takes_a_proxy_from_the_host(balancer: str, mode: str) -> None:
    more = {"versions": {"kubernetes": "1.36.0"}} if mode == "nftables" else {}
    c = cluster(load_balancer={"kind": balancer}, network={"proxy_mode": mode}, **more)
    units = {path: file for (_, path), file in files(given(c)).items() if path.endswith(".service")}
    assert {"etcd", "kube-apiserver", "kubelet", "containerd", "kube-proxy", balancer, "keepalived"} <= {
        Path(path).stem for path in units
    }
    assert {path for path, unit in units.items() if unset(unit) != set(VARIABLES)} == set()


@pytest.mark.parametrize("kind", ["containerd", "docker"])
def test_who_pulls_images_goes_through_the_files_proxy(kind: str) -> None:
    c = given(cluster({"url": f"{URL}/"}, runtime={"kind": kind}))
    found = files(c)
    path = f"/etc/{kind}/proxy.env"
    assert [place for place in found if place[1].endswith("proxy.env")] == [("n1", path)]
    file = found["n1", path]
    lines = dict(line.split("=", 1) for line in file.content.splitlines())
    assert lines.pop("NO_PROXY").split(",") == list(direct(c.cluster))
    assert lines == {"HTTP_PROXY": URL, "HTTPS_PROXY": URL}
    assert (file.mode, file.secret) == ("0600", False), "without a login the plan shows its lines"
    unit = found["n1", f"/etc/systemd/system/{kind}.service"]
    assert f"EnvironmentFile={path}\n" in unit.content
    assert unset(unit) == set(VARIABLES) - {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
    started = [one for one in compile_cluster(c).resources if isinstance(one, Unit) and path in one.loads]
    assert [(one.host, one.unit) for one in started] == [("n1", f"{kind}.service")], (
        "a change restarts it, and no other"
    )


def test_what_is_inside_is_asked_directly() -> None:
    runtime = {
        "registry_mirrors": {"docker.io": ["http://10.9.9.9:5000", "https://8.8.8.8", "https://mirror.example"]},
        "insecure_registries": ["192.168.7.7:5000"],
    }
    found = direct(cluster({"url": URL, "no_proxy": [".corp.example", "mirror.example"]}, runtime=runtime))
    own = {"localhost", "127.0.0.1", "127.0.0.0/8", "::1"}
    hosts = {"10.0.9.11", "m1", "10.0.9.14", "n1", "node-one", "10.0.9.100"}
    networks = {"10.244.0.0/16", "10.96.0.0/16", ".svc", ".cluster.local"}
    assert set(found) == own | hosts | networks | {"10.9.9.9", "192.168.7.7", ".corp.example", "mirror.example"}
    assert len(found) == len(set(found))


def test_a_proxy_that_is_told_no_more_goes() -> None:
    compiled = compile_cluster(given(cluster(), cluster({"url": URL})))
    gone = [one for removal in compiled.ordered if isinstance(removal, Removal) for one in removal.resources]
    assert [one.path for one in gone if isinstance(one, File) and "proxy" in one.path] == ["/etc/containerd/proxy.env"]


def test_a_login_is_in_one_file_of_root_and_nothing_shows_it() -> None:
    c = given(cluster({"url": URL, "login_file": "/login"}), login=LOGIN)
    compiled = compile_cluster(c)
    held = [one for one in compiled.ordered if isinstance(one, File) and "p%40ss" in one.content]
    assert [(one.host, one.path, one.mode, one.secret) for one in held] == [
        ("n1", "/etc/containerd/proxy.env", "0600", True)
    ]
    assert f"HTTPS_PROXY={WITH_LOGIN}\n" in held[0].content
    plan = Plan({one.key: Step(one, {}) for one in compiled.ordered}, compiled.needs)
    shown = f"{c!r}{plan!r}" + "".join(f"{step.diff}{step.resource.desired}" for step in plan.steps.values())
    assert "p%40ss" not in shown
    assert LOGIN not in shown
    packages = [one for one in compiled.ordered if isinstance(one, Packages) and not one.files]
    assert packages
    assert all(action.secret for one in packages for action in one.converge({}))
    assert hide(f"E: {WITH_LOGIN}/x: refused", ()) == "E: http://(secret)@10.0.9.5:3128/x: refused"


@needs_root
@pytest.mark.parametrize("manager", ["apt", "dnf"])
async def test_a_package_manager_gets_it_in_its_environment_alone(tmp_path: Path, manager: str) -> None:
    root = Root(tmp_path)
    program = {"apt": "apt-get", "dnf": "dnf"}[manager]
    for name in (program, "dpkg", "dpkg-query", "rpm"):
        body = (
            "env >>/etc/test/seen; cat /proc/[0-9]*/cmdline 2>/dev/null >>/etc/test/words || :\n"
            if name == program
            else ""
        )
        (root.etc / name).write_text(f"#!/bin/sh\n{body}")
        (root.etc / name).chmod(0o755)
    c = cluster({"url": URL, "login_file": "/login"})
    way = tuple(variables(c, WITH_LOGIN).items())
    [action] = Packages(host="h", purpose="x", packages=("curl",), manager=manager, proxy=way).converge({})
    await root.via.run("h", f"PATH=/etc/test:$PATH\n{batch.upload(action)}")
    seen = (root.etc / "seen").read_text()
    assert f"http_proxy={WITH_LOGIN}\n" in seen
    assert f"https_proxy={WITH_LOGIN}\n" in seen
    assert f"no_proxy={','.join(direct(c))}\n" in seen
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "seen"]
    assert [path for path in kept if b"p%40ss" in path.read_bytes()] == [], "nowhere on the disk, nor in a command line"


def written(folder: Path, os_: str, rest: str = "") -> Path:
    (folder / "login").write_text(f"{LOGIN}\n")
    (folder / "login").chmod(0o600)
    path = folder / "cluster.yaml"
    hosts = "  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd, worker]}\n"
    path.write_text(f"name: demo\nhosts:\n{hosts}os: {os_}\n{rest}")
    return path


def test_the_login_is_read_from_its_file_or_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = load(written(tmp_path, f"{{proxy: {{url: '{URL}', login_file: login}}}}"))
    assert named_files.proxy_login(c) == LOGIN
    (tmp_path / "login").unlink()
    assert missing(c) == [("os.proxy.login_file", tmp_path / "login")]
    c = load(written(tmp_path, f"{{proxy: {{url: '{URL}', login_file: 'env:PROXY_LOGIN'}}}}"))
    monkeypatch.setenv("PROXY_LOGIN", "hunter2")
    with pytest.raises(PlanError, match=r"os\.proxy") as caught:
        named_files.proxy_login(c)
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


BAD = {
    "a login in the URL": ("{proxy: {url: 'http://u:geheim@h:1'}}", "", "os.proxy.url", "login_file"),
    "no scheme": ("{proxy: {url: '10.77.1.5:3128'}}", "", "os.proxy.url", "http://10.77.1.5:3128"),
    "no port": ("{proxy: {url: 'http://h:99999'}}", "", "os.proxy.url", "1 to 65535"),
    "no address": ("{proxy: {url: 'http://10.77.1.500:1'}}", "", "os.proxy.url", "correct it"),
    "a URL alone": ("{proxy: 'http://h:1'}", "", "os.proxy", "{url: http://h:1}"),
    "no network": ("{proxy: {url: 'http://h:1', no_proxy: [10.1.2.3/8]}}", "", "os.proxy.no_proxy[0]", "10.0.0.0/8"),
    "everything": ("{proxy: {url: 'http://h:1', no_proxy: ['*']}}", "", "os.proxy.no_proxy[0]", ".example.org"),
    "open login": ("{proxy: {url: 'http://h:1', login_file: cluster.yaml}}", "", "os.proxy.login_file", "chmod 600"),
    "elsewhere": ("{}", "runtime: {proxy: 'http://u:geheim@h:1'}\n", "runtime.proxy", "os: {proxy: {url:"),
    "at the top": ("{}", "http_proxy: 'http://h:1'\n", "http_proxy", "os: {proxy: {url:"),
    "kube-proxy's": ("{}", "proxy: 'http://h:1'\n", "proxy", "os: {proxy: {url:"),
    "kube-proxy's too": ("{}", "proxy: {url: 'http://h:1'}\n", "proxy.url", "os: {proxy: {url:"),
    "no_proxy": ("{}", "no_proxy: [h]\n", "no_proxy", "`os.proxy`"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_told_with_line_and_fix(tmp_path: Path, case: str) -> None:
    os_, rest, field, fix = BAD[case]
    path = written(tmp_path, os_, rest)
    os.chmod(path, 0o644)
    with pytest.raises(SpecError) as caught:
        load(path)
    [problem] = caught.value.problems
    assert (problem.field, problem.line) == (field, 5 if rest else 4)
    assert fix in problem.fix
    assert "geheim" not in f"{problem}"
