"""Every fix that can be done by a machine is done as it says: it leads out of the mistake, and into none beside it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bad_exist import EXIST
from bad_file import HOSTS, A, B, Bad, hosts
from bad_protection import PROTECTION
from bad_rules import END_RULES, HOST_RULES, PART_RULES
from bad_text import SHAPE, YAML

from quorate.core import Problem, SpecError
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.spec.tree import parse

FOREIGN = tuple(
    Bad(text, 0, "", text.splitlines()[-1])
    for text in (
        hosts(A, "name: b, address: 192.168.1.2, roles: [node]"),
        hosts(A, "name: b, address: 192.168.1.2, roles: [lb]"),
        hosts(A, "name: b.example.com, address: 192.168.1.2, roles: [worker]"),
        hosts(A, "name: Node01, address: 192.168.1.2, roles: [worker]"),
        hosts(A, B + ", role: worker"),
        HOSTS + "ssh: {jump: {host: b, key_path: env:X}}\n",
        HOSTS + "ssh: {jump: bastion.example.com}\n",
        HOSTS + "ssh: {bastion: bastion.example.com}\n",
        HOSTS + "ssh: {key_file: env:HOME}\n",
        HOSTS + "ssh: {sudo_password: x}\n",
        HOSTS + "runtime: {data_directory: /data/docker}\n",
        HOSTS + "runtime: {proxy: 'http://x:3128'}\n",
        HOSTS + "network: {dns_domain: cluster.local.}\n",
        HOSTS + "network: {cni: calico}\n",
        HOSTS + "network: {plugin: calico}\n",
        HOSTS + "kubernetes_version: 1.36.3\n",
        HOSTS + "addons: [dns]\n",
        HOSTS + "etcd: {external: true}\n",
        HOSTS + "etcd: {data_directory: [a]}\n",
        HOSTS + "vip: 192.168.1.9\nendpoint: {}\n",
        HOSTS + "kubernetes_version: v1.36\n",
        HOSTS + "k8s_version: latest\nversions: {etcd: 3.6.1}\n",
        HOSTS + "etcd: {version: v3.6.1}\n",
        hosts(A, B + ", user: ubuntu"),
        hosts(A, B + ", ssh_port: 2222"),
        hosts(A, B + ", taints: [NoSchedule]"),
        hosts(A, B + ", taints: ['gpu=yes:NoSchedule']"),
        hosts(A, B + ", taints: NoSchedule"),
        hosts(A, B + ", ssh: {jump: 'me@bastion:2222'}"),
        hosts(A, B + ", interface: eth0.7@eth0"),
        HOSTS + "endpoint: {address: 'https://api.example.com:8443/'}\n",
        HOSTS + "runtime: docker\nversions: {kubernetes: 1.20.2}\n",
        HOSTS + "runtime: {data_dir: /data//docker/}\n",
        HOSTS + "runtime: {proxy: {http: 'http://x:3128'}}\n",
        HOSTS + "runtime: {registry_mirrors: {'https://docker.io/': [x.example]}}\n",
        HOSTS + "runtime: {registry_mirrors: {docker.io: x.example}}\n",
        HOSTS + "runtime: {log_max_size: 50 MB}\n",
        HOSTS + "os: {proxy: 'x:3128'}\n",
        HOSTS + "no_proxy: [localhost]\n",
        HOSTS + "network: {gateways: {192.168.1.7/24: 192.168.1.1}}\n",
        HOSTS + "network: {node_ports: '30000:32767'}\n",
        HOSTS + "network: {max_pods: 50}\n",
        HOSTS + "dns: false\n",
    )
)
CASES = (*YAML, *SHAPE, *HOST_RULES, *END_RULES, *PART_RULES, *EXIST, *PROTECTION, *FOREIGN)


NO_VALUE = {"a", "an", "the", "one", "four", "at", "two", "three", "numbers", "env:NAME", "them", "text"}
"""Words after which the value is described, not given."""


def problems(path: Path) -> list[Problem]:
    """What is wrong with a file."""
    try:
        load(path)
    except SpecError as error:
        return list(error.problems)
    return []


def steps(field: str) -> list[str | int]:
    return [int(word) if word.isdigit() else word for word in re.findall(r"[^.\[\]]+", field)]


def done(data: Any, problem: Problem) -> Any | None:
    """The file's values after the fix; None when it is nothing that a machine could do."""
    *around, last = steps(problem.field)
    place = data
    for step in around:
        place = place[step]
    fix = problem.fix
    if found := re.match(r"did you mean `(\w+)`\?", fix):
        place[found[1]] = place.pop(last)
    elif fix.startswith("remove it"):
        place.pop(last)
    elif found := re.match(r"write (?:it with quotes: )?`(.*?)`", fix):
        values = parse(found[1]).data
        if not isinstance(values, dict) or re.search(r"\.\.\.|<|^field:", found[1]):
            return None
        if isinstance(last, int):
            place[last] = values
            return data
        if "is no field" in problem.rule:
            place.pop(last)
        for name, value in values.items():
            target = data if name in Cluster.model_fields else place
            target[name] = {**target[name], **value} if isinstance(target.get(name), dict) else value
    elif found := re.match(r"write (?:it with quotes: )?('[^']*'|\[[^\]]*\]|[^ ,;:]+)", fix):
        value = parse(found[1]).data
        if found[1] in NO_VALUE or "..." in found[1]:
            return None
        if problem.value == last:  # the key itself is wrong
            place[str(value)] = place.pop(last)
        else:
            place[last] = value
    elif "belongs at the top" in fix:
        data[last] = place.pop(last)
    elif found := re.match(r"it belongs in `(\w+)`(, at the top)?.*\{(\w+): ", fix):
        (data if found[2] else place).setdefault(found[1], {})[found[3]] = place.pop(last)
    else:
        return None
    return data


@pytest.mark.parametrize("bad", CASES, ids=str)
def test_a_fix_that_can_be_done_leads_out(tmp_path: Path, bad: Bad) -> None:
    path = bad.write(tmp_path)
    first = problems(path)
    known = {(each.field, each.rule) for each in first}
    for problem in first:
        tree = parse(path.read_text(encoding="utf-8", errors="replace"))
        try:
            mended = None if tree.faults else done(tree.data, problem)
        except KeyError:  # a key with dots
            continue
        if mended is None:
            continue
        other = tmp_path / "mended.yaml"
        other.write_text(json.dumps(mended))  # which is YAML
        # A name that somebody else has, say, is another mistake of the same line.
        left = [each for each in problems(other) if each.field == problem.field and "already that of" not in each.rule]
        worse = [each for each in left if (each.field, each.rule) not in known - {(problem.field, problem.rule)}]
        assert not worse, f"{problem} led to {worse[0]}"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (HOSTS + "os: {swap: on}\n", "write keep"),
        (HOSTS + "os: {firewall: disabled}\n", "write off"),
        (HOSTS + "os: {selinux: disabled}\n", "write permissive"),
        (HOSTS + "os: {time_sync: chrony}\n", "write install"),
        (HOSTS + "network: {cluster_cidr: 10.9.0.0/16}\n", "did you mean `pod_cidr`?"),
        (HOSTS + "runtime: {name: containerd}\n", "remove it; known here: "),
        (HOSTS + "endpoint: {address: 'api.example.com:8443'}\n", "write 'api.example.com'"),
        (HOSTS + "ssh: {private_key: /x}\n", "remove it: never write a secret here; name the key's file in `key`"),
        (HOSTS + "os: {proxy: 'http://me:word@x:3128'}\n", "write `os: {proxy: {url: 'http://HOST:PORT'}}`"),
        (hosts(A, B + ", private_ip: 10.0.0.9"), "remove it: `address` is there already"),
    ],
    ids=lambda text: text.splitlines()[-1],
)
def test_a_fix_means_what_was_meant(tmp_path: Path, text: str, fix: str) -> None:
    (tmp_path / "cluster.yaml").write_text(text)
    assert problems(tmp_path / "cluster.yaml")[0].fix.startswith(fix)


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@x", "//me:hunter2@x", "me:hunter2@x", ":hunter2@x", "https://x/?token=hunter2"]
)
def test_a_mirror_that_is_wrong_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    (tmp_path / "cluster.yaml").write_text(HOSTS + f"runtime: {{registry_mirrors: {{docker.io: ['{url}']}}}}\n")
    told = problems(tmp_path / "cluster.yaml")
    assert told
    assert "(secret)" in str(told[0])
    assert "hunter2" not in repr(told)
