"""nginx' list of API servers among the resources of a balancer: what loads it, what proves it, what takes it away."""

import subprocess
from pathlib import Path

from quorate.component import balancer, virtual_ip
from quorate.component.context import Context
from quorate.execute.survey import units
from quorate.resource.file import File
from quorate.resource.resource import Resource
from quorate.resource.system import Undo
from quorate.resource.unit import Ready, Unit
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.layout import KEEPALIVED_CONF, UNITS
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

A, B, C = (f"10.0.0.{n}:6443" for n in (1, 2, 3))


def up(*servers: str) -> str:
    return "".join(f"server {at} {'max_fails=0' if at in servers else 'down'};\n" for at in (A, B, C))


def context(masters: int = 2, **changes: object) -> Context:
    hosts: list[dict[str, object]] = [{"name": "b", "address": "10.0.0.100", "roles": ["load-balancer"]}]
    hosts += [{"name": f"m{n}", "address": f"10.0.0.{n}", "roles": ["control-plane"]} for n in range(1, masters + 1)]
    hosts[1]["roles"] = ["control-plane", "etcd", "worker"]
    endpoint = {"vip": "10.0.0.200"}
    cluster = Cluster.model_validate({"name": "c", "hosts": hosts, "endpoint": endpoint, **changes})
    return Context(cluster, Facts(), Supply(), Secrets({}, {}), table("1.36"))


def resources(given: Context) -> dict[str, Resource]:
    host = given.cluster.host("b")
    return {resource.name: resource for part in (balancer, virtual_ip) for resource in part.resources(given, host)}


def test_other_masters_change_the_script_which_both_services_load() -> None:
    few, more = resources(context(2)), resources(context(3))
    assert {name for name in few if few[name] != more[name]} == {balancer.UPSTREAMS, "nginx"}
    for name, reload in (("nginx.service", True), ("quorate-upstreams.service", False)):
        unit = few[name]
        assert isinstance(unit, Unit)
        assert (balancer.UPSTREAMS in unit.loads, unit.reload) == (True, reload)
    names = list(few)
    assert names.index("nginx.service") < names.index("quorate-upstreams.service")
    text = few[f"{UNITS}/nginx.service"]
    assert isinstance(text, File)
    for key in ("ExecStartPre", "ExecReload"):
        assert text.content.index(f"{key}=/bin/sh {balancer.UPSTREAMS} init") < text.content.index(f"{key}=/usr/sbin/n")


def test_the_gate_wants_exactly_the_present_masters_in_the_list(tmp_path: Path) -> None:
    (tmp_path / "curl").write_text("#!/bin/sh\nexit 35\n")
    (tmp_path / "curl").chmod(0o755)
    ready = resources(context(3))["nginx"]
    assert isinstance(ready, Ready)
    check = ready.check.replace(balancer.UPSTREAMS_LIST, str(tmp_path / "list"))

    def passes(text: str) -> bool:
        (tmp_path / "list").write_text(text)
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(["sh", "-c", check], env=env, stderr=subprocess.DEVNULL, check=False).returncode == 0

    assert all(passes(up(*servers)) for servers in ((A, B, C), (B,), (A, C)))
    assert not passes(up(A).replace(f"server {B} down;\n", ""))
    assert not passes(up(A) + "server 10.0.0.4:6443 down;\n")
    assert not passes(up(A).replace("10.0.0.3", "10.0.0.30"))
    assert not passes("")
    (tmp_path / "curl").write_text("#!/bin/sh\nexit 7\n")
    assert not passes(up(A))


def test_haproxy_has_nothing_of_it_and_nginx_takes_it_away() -> None:
    given = context(load_balancer={"kind": "haproxy"})
    assert not [name for name in resources(given) if "upstreams" in name]
    host = given.cluster.host("b")
    assert units(given.cluster, host) == ("haproxy.service", "keepalived.service", "quorate-address.service")
    assert units(context().cluster, host) == (
        *("nginx.service", "quorate-upstreams.service", "keepalived.service", "quorate-address.service"),
    )
    found = list(balancer.resources(context(), host))
    [setting] = [resource for resource in found if isinstance(resource, Undo)]
    assert setting.name not in resources(given)
    assert [action.script for action in setting.remove()] == ["rm -f /run/quorate/upstreams.conf"]
    # Things go backwards.
    assert all(found.index(setting) < found.index(resource) for resource in found if isinstance(resource, Unit))


def test_keepalived_is_before_the_others_at_the_cpu_and_has_no_real_time() -> None:
    given = resources(context())
    unit, config = given[f"{UNITS}/keepalived.service"], given[KEEPALIVED_CONF]
    assert isinstance(unit, File)
    assert isinstance(config, File)
    assert "CPUWeight=10000\n" in unit.content
    # A reload would end it where CAP_SYS_RESOURCE is missing.
    assert "vrrp_rt_priority" not in config.content
