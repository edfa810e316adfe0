"""Hosts that are no Debian: SELinux, firewalld, RPM; what is chosen for them, and that the scripts do it."""

import os
import subprocess
from pathlib import Path

import pytest

from quorate.component import balancer, programs, system
from quorate.component.context import Context
from quorate.render import firewalld
from quorate.render.prelude import PRELUDE
from quorate.resource.file import File
from quorate.resource.package import Packages
from quorate.resource.system import Setting
from quorate.resource.unit import Unit
from quorate.spec.cluster import Cluster, Host
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.layout import ENDPOINT_CHECK
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import table

RHEL = HostFacts(os_id="rhel", package_manager="dnf", firewall="firewalld", selinux="enforcing")
HOSTS = (
    {"name": "m", "address": "10.0.0.1", "roles": ["control-plane", "etcd", "load-balancer"]},
    {"name": "w", "address": "10.0.0.2", "roles": ["worker"]},
)


def context(facts: HostFacts = RHEL, **changes: object) -> Context:
    content = {"name": "c", "hosts": HOSTS, "endpoint": {"vip": "10.0.0.9", "port": 8443}, **changes}
    cluster = Cluster.model_validate(content)
    hosts = {host.name: facts for host in cluster.hosts}
    return Context(cluster, Facts(hosts=hosts), Supply(), Secrets({}, {}), table("1.36"))


def host(given: Context, name: str) -> Host:
    return given.cluster.host(name)


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(folder: Path, script: str, *arguments: str) -> str:
    env = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-ec", script, "sh", *arguments], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def told(given: Context) -> Setting:
    """What SELinux is told of the balancer."""
    resources = balancer.resources(given, host(given, "m"))
    [setting] = [
        resource for resource in resources if isinstance(resource, Setting) and resource.name == "SELinux policy"
    ]
    return setting


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_selinux_is_told_of_the_balancer_before_it_starts(kind: str) -> None:
    c = context(load_balancer={"kind": kind})
    resources = list(balancer.resources(c, host(c, "m")))
    names = [resource.name for resource in resources]
    [policy] = [resource for resource in resources if isinstance(resource, File) and resource.path == balancer.SELINUX]
    setting = told(c)
    [first, *_] = [resource for resource in resources if isinstance(resource, Unit)]
    assert names.index(setting.name) < names.index(first.name)
    assert ("httpd_t" in policy.content, "haproxy_t" in policy.content) == (kind == "nginx", kind == "haproxy")
    assert ENDPOINT_CHECK in policy.content
    assert ("allow httpd_t pidfile (file" in policy.content) == (kind == "nginx"), "it may read its list"


@pytest.mark.parametrize("selinux", ["absent", "disabled", "permissive"])
def test_elsewhere_selinux_is_told_nothing(selinux: str) -> None:
    c = context(HostFacts(package_manager="dnf", selinux=selinux))  # type: ignore[arg-type]
    assert not [resource for resource in balancer.resources(c, host(c, "m")) if resource.name == "SELinux policy"]


def test_a_new_selinux_module_replaces_the_old_one(tmp_path: Path) -> None:
    command(tmp_path, "semodule", 'case "$1" in -l) echo base; echo quorate_0123;; *) echo "$@";; esac')
    command(tmp_path, "cp", ":")
    c = context()
    setting = told(c)
    assert run(tmp_path, setting.check) == "module=quorate_0123\n"
    name = dict(setting.want)["module"]
    assert run(tmp_path, setting.script) == f"-r quorate_0123 -i /run/quorate/{name}.cil\n"
    assert run(tmp_path, setting.undo) == "-r quorate_0123\n"


def test_labels_are_left_alone_without_selinux(tmp_path: Path) -> None:
    command(tmp_path, "restorecon", "echo called")
    functions = PRELUDE[PRELUDE.index("keep()") :]
    called = Path("/sys/fs/selinux/enforce").exists()
    assert run(tmp_path, f"{functions}\nlabel /etc/hostname; echo on") == ("called\n" if called else "") + "on\n"


def _firewall(given: Context, name: str, folder: Path) -> str:
    resources = system.resources(given, host(given, name))
    text = next(
        resource.content for resource in resources if isinstance(resource, File) and resource.path.endswith("/firewall")
    )
    return text.replace("\nPATH=", f"\nPATH={folder}:").replace(firewalld.NOTE, f"{folder}/note")


def test_firewalld_lets_through_what_goes_to_pods_on_workers_alone(tmp_path: Path) -> None:
    # A firewalld with policies, in which none is loaded yet.
    command(tmp_path, "firewall-cmd", 'echo "$@"; case "$*" in *--query*) exit 1;; esac')
    c = context()
    opened = run(tmp_path, _firewall(c, "w", tmp_path), "fill").splitlines()
    assert "-q --permanent --policy=quorate-pods --add-ingress-zone=ANY" in opened
    to = 'rule family="ipv4" destination address="10.244.0.0/16" accept'
    assert f"-q --permanent --policy=quorate-pods --add-rich-rule={to}" in opened
    assert opened[-1] == "-q --reload"
    closed = run(tmp_path, _firewall(c, "w", tmp_path), "close").splitlines()
    assert closed[-2:] == ["-q --permanent --delete-policy=quorate-pods", "-q --reload"]
    assert "quorate-pods" not in _firewall(c, "m", tmp_path)


def test_firewalld_is_not_reloaded_for_a_policy_that_it_has(tmp_path: Path) -> None:
    command(tmp_path, "firewall-cmd", 'echo "$@"')
    assert "-q --reload" not in run(tmp_path, _firewall(context(), "w", tmp_path), "fill")


def test_a_package_counts_that_another_provides(tmp_path: Path) -> None:
    # iptables is provided by name, curl by its file, socat is not there.
    command(tmp_path, "rpm", 'case "$3" in iptables|/usr/bin/curl) ;; *) exit 1;; esac')
    resource = Packages(host="h", purpose="tools", packages=("curl", "iptables", "socat"), manager="dnf")
    found = resource.parse(run(tmp_path, resource.probe().question))
    assert found is not None
    assert {name for name in resource.packages if found.get(name) == "installed"} == {"curl", "iptables"}


def test_the_nftables_proxy_gets_its_tool() -> None:
    assert "nftables" not in programs.names(context().cluster, "dnf")
    network = {"proxy_mode": "nftables"}
    assert "nftables" in programs.names(context(network=network).cluster, "dnf")
