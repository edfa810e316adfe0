"""Resolver files of hosts: pods get one whose servers they reach, and what changes there is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_net import needs_root
from own_root import OURS, Root
from past_clusters import THREE, cluster, context
from ruamel.yaml import YAML

from quorate.component import dns
from quorate.component.settings import kubelet
from quorate.execute import facts
from quorate.resource.kube import Manifest
from quorate.spec import resolvers
from quorate.spec.cluster import Cluster, Kubelet
from quorate.spec.facts import Facts, HostFacts, Resolver
from quorate.spec.versions import table

RESOLVED = "/run/systemd/resolve/resolv.conf"
SEEN = (*OURS, "run/systemd/resolve", "run/NetworkManager")
STUB = "# by systemd-resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"
HEAD = "# This is /run/systemd/resolve/resolv.conf managed by man:systemd-resolved(8).\n#nameserver 10.0.0.9\n\n"


async def asked(folder: Path, c: Cluster, **texts: str) -> HostFacts:
    """The facts of a host with these files: `etc`, `resolved`, `manager`."""
    root = Root(folder, SEEN)
    places = {
        "etc": root.etc / "resolv.conf",
        "resolved": folder / RESOLVED[1:],
        "manager": folder / "run/NetworkManager/no-stub-resolv.conf",
    }
    for name, text in texts.items():
        places[name].write_text(text)
    return facts.parse(
        await root.via.run("h", f"cp /etc/test/resolv.conf /etc/resolv.conf || :\n{facts.script(c, c.workers[0])}")
    )


ETC, MANAGER = "/etc/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"
OWN, OTHER = "nameserver 10.0.0.53\n", "nameserver 10.0.0.1\n"
CASES: list[tuple[dict[str, str], str, tuple[str, ...]]] = [
    # the files, which is chosen, its servers
    ({"etc": OWN}, ETC, ("10.0.0.53",)),
    ({"etc": OWN, "resolved": OTHER}, ETC, ("10.0.0.53",)),
    ({"etc": STUB, "resolved": f"{HEAD}{OTHER}nameserver fd00::1 # two\n"}, RESOLVED, ("10.0.0.1", "fd00::1")),
    ({"etc": "nameserver\t127.0.0.1\n", "manager": OTHER}, MANAGER, ("10.0.0.1",)),
    ({"etc": f"nameserver 127.0.0.1\n{OWN}", "resolved": OTHER}, RESOLVED, ("10.0.0.1",)),
    ({"etc": f"nameserver 127.0.0.1\n{OWN}", "resolved": HEAD}, ETC, ("127.0.0.1", "10.0.0.53")),
    ({"etc": "nameserver 10.96.0.10\n", "resolved": OTHER}, RESOLVED, ("10.0.0.1",)),
    ({"etc": "nameserver ::1\nnameserver fe80::1%eth0\n", "resolved": OTHER}, RESOLVED, ("10.0.0.1",)),
    ({"etc": STUB, "resolved": HEAD}, ETC, ()),
    ({"resolved": HEAD}, ETC, ()),
]


@needs_root
@pytest.mark.parametrize(("texts", "path", "servers"), CASES)
async def test_the_kubelet_gets_the_first_file_that_pods_can_use(
    tmp_path: Path, texts: dict[str, str], path: str, servers: tuple[str, ...]
) -> None:
    c = cluster(THREE)
    found = await asked(tmp_path, c, **texts)
    assert resolvers.chosen(c, found) == Resolver(path, servers)
    config = kubelet.config(c, c.workers[0], found, minor=table("1.20.2"))
    assert config["resolvConf"] == path


@needs_root
async def test_a_file_of_the_users_choice_is_the_one(tmp_path: Path) -> None:
    mine = "/etc/test/mine.conf"
    c = cluster(THREE, kubelet=Kubelet(config={"resolvConf": mine}))
    root = Root(tmp_path, SEEN)
    (root.etc / "mine.conf").write_text("nameserver 10.0.0.7\n")
    found = facts.parse(await root.via.run("h", facts.script(c, c.workers[0])))
    assert resolvers.chosen(c, found) == Resolver(mine, ("10.0.0.7",))


def coredns(**servers: str) -> tuple[str, dict[str, Any]]:
    """Whom CoreDNS asks, and the template of its pods; by worker, what its resolver file names."""
    inputs = context(cluster(THREE))
    found = {
        name: HostFacts(resolvers=(Resolver("/etc/resolv.conf", tuple(each.split())),))
        for name, each in servers.items()
    }
    inputs = replace(inputs, facts=Facts({**inputs.facts.hosts, **found}))
    [manifest] = [one for host in inputs.cluster.hosts for one in dns.resources(inputs, host)]
    assert isinstance(manifest, Manifest)
    objects = {each["kind"]: each for each in YAML(typ="safe").load_all(manifest.text)}
    forward = [
        line.split(None, 2)[2] for line in objects["ConfigMap"]["data"]["Corefile"].splitlines() if "forward" in line
    ]
    return "".join(forward), objects["Deployment"]["spec"]["template"]


def test_cluster_dns_is_never_sent_to_itself() -> None:
    assert coredns(n1="10.0.0.1", n2="10.0.0.2")[0] == "/etc/resolv.conf"
    assert coredns(n1="127.0.0.1 10.0.0.1", n2="10.0.0.2")[0] == "10.0.0.1 10.0.0.2"
    assert coredns(n1="10.96.0.10", n2="10.0.0.2")[0] == "10.0.0.2"
    assert coredns(n1="127.0.0.53", n2="127.0.0.53")[0] == ""


def test_other_servers_on_a_host_are_drift() -> None:
    """A pod has the file as it was at its start: CoreDNS would go on asking a server that is gone."""
    before, after = coredns(n1="10.0.0.1", n2="10.0.0.1"), coredns(n1="10.0.0.1", n2="10.0.0.2")
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert before == coredns(n1="10.0.0.1", n2="10.0.0.1")
