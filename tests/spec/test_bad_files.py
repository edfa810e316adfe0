"""Bad cluster files: each is refused with its line, field and words that help."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from quorate.core import Problem, SpecError
from quorate.spec.load import LIMIT, load

HOSTS = """\
name: demo
hosts:
  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd]}
  - {name: b, address: 192.168.1.2, roles: [worker]}
"""
BALANCED = """\
name: demo
hosts:
  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd]}
  - {name: b, address: 192.168.1.2, roles: [worker]}
  - {name: c, address: 192.168.1.3, roles: [load-balancer]}
"""


def hosts(*lines: str) -> str:
    return "name: demo\nhosts:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def problems(tmp_path: Path, text: str | bytes) -> list[Problem]:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SpecError) as caught:
        load(path)
    assert caught.value.exit_code == 3
    assert all(each.path == str(path) and each.rule and each.fix and each.line for each in caught.value.problems)
    return caught.value.problems


@dataclass(frozen=True)
class Bad:
    """A file, and what must be said of it."""

    text: str | bytes
    line: int
    field: str
    words: str

    def __str__(self) -> str:
        return f"{self.field}: {self.words}"


A = "name: a, address: 192.168.1.1, roles: [control-plane, etcd]"
B = "name: b, address: 192.168.1.2, roles: [worker]"

YAML = (
    Bad("", 1, "file", "empty"),
    Bad("# only this\n", 1, "file", "quorate init"),
    Bad("[]\n", 1, "file", "must be fields"),
    Bad("hello\n", 1, "file", "must be fields"),
    Bad(HOSTS + "---\nname: two\n", 5, "file", "one cluster per file"),
    Bad("name: demo\nhosts:\n\t- {}\n", 3, "file", "replace the tab by spaces"),
    Bad("name: 'demo\n", 1, "file", "close the quote"),
    Bad("name: a: b\n", 1, "file", "into quotes"),
    Bad("name: @x\n", 1, "file", "special character"),
    Bad(HOSTS + "name: again\n", 5, "name", "given twice, first in line 1"),
    Bad(HOSTS + "dns:\n  replicas: 2\n  replicas: 3\n", 7, "dns.replicas", "given twice, first in line 6"),
    Bad(HOSTS + "etcd: &x {heartbeat_ms: 50}\n", 5, "etcd", "anchor"),
    Bad(HOSTS + "ssh: &x {user: root}\nos: *x\n", 6, "os", "anchor"),
    Bad(HOSTS + "os: *x\n", 5, "file", "undefined alias"),
    Bad(HOSTS + "os: !!python/object:os.system {}\n", 5, "os", "remove the tag"),
    Bad(HOSTS + "? [a]\n: 1\n", 5, "file", "key that is not plain text"),
    Bad(HOSTS.encode() + b"ssh: {user: '\xff'}\n", 5, "file", "UTF-8"),
    Bad("\ufeffname: demo\n".encode("utf-16"), 1, "file", "UTF-8"),
    Bad(HOSTS + "ssh: {user: 'a\x00b'}\n", 5, "file", "NUL"),
    Bad(HOSTS + 'ssh: {key: "a\\0b"}\n', 5, "ssh.key", "control characters"),
    Bad(HOSTS + 'ssh: {user: "\\ud800"}\n', 5, "ssh.user", "Unicode"),
    Bad(HOSTS + "\x07\n", 5, "file", "control character"),
    Bad("[" * 5000, 1, "file", "nested too deeply"),
    Bad(b"#" * (LIMIT + 1), 1, "file", "larger than"),
    Bad(HOSTS + "dns:\n  enabled: yes\n", 6, "dns.enabled", "write true"),
    Bad(HOSTS + "dns:\n  enabled: off\n", 6, "dns.enabled", "write false"),
    Bad(HOSTS + "apiserver:\n  port: 06443\n", 6, "apiserver.port", "plain decimal"),
    Bad(HOSTS + "apiserver:\n  port: 0x1F\n", 6, "apiserver.port", "plain decimal"),
    Bad(HOSTS + "apiserver:\n  port: 6_443\n", 6, "apiserver.port", "plain decimal"),
    Bad(HOSTS + "apiserver:\n  port: '6443'\n", 6, "apiserver.port", "without quotes"),
    Bad(HOSTS + "apiserver:\n  port: true\n", 6, "apiserver.port", "whole number"),
    Bad(HOSTS + "apiserver:\n  port: 6443.5\n", 6, "apiserver.port", "whole number"),
    Bad(HOSTS + "apiserver:\n  port: .nan\n", 6, "apiserver.port", "whole number"),
    Bad(HOSTS + "ssh:\n", 5, "ssh", "has no value"),
    Bad(HOSTS + "versions:\n  kubernetes: 1.30\n", 6, "versions.kubernetes", "with quotes: '1.30.0'"),
    Bad(HOSTS + "apiserver: {extra_flags: {v: 4}}\n", 5, "apiserver.extra_flags.v", "with quotes: '4'"),
)

SHAPE = (
    Bad(hosts(A, "name: $(id), address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "RFC 1123"),
    Bad(hosts(A, "name: Node, address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "no capitals"),
    Bad(hosts(A, f"name: {'x' * 64}, address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "1 to 63"),
    Bad(hosts(A, 'name: "b\\n", address: 192.168.1.2, roles: [worker]'), 4, "hosts[1].name", "RFC 1123"),
    Bad(hosts(A, "name: n‐1, address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "RFC 1123"),
    Bad(hosts(A, "name: b, address: 192.168.1, roles: [worker]"), 4, "hosts[1].address", "IPv4 address"),
    Bad(hosts(A, "name: b, address: 'fd00::1', roles: [worker]"), 4, "hosts[1].address", "IPv4 address"),
    Bad(hosts(A, "name: b, address: 3232235777, roles: [worker]"), 4, "hosts[1].address", "must be text"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: worker"), 4, "hosts[1].roles", "write [worker]"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: []"), 4, "hosts[1].roles", "at least one"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: [lb]"), 4, "hosts[1].roles[0]", "control-plane, etcd"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: [worke]"), 4, "hosts[1].roles[0]", "write worker"),
    Bad(hosts(A, "name: b, roles: [worker]"), 4, "hosts[1].address", "add `address: ...`"),
    Bad(hosts(A, "name: b, ip: 192.168.1.2, roles: [worker]"), 4, "hosts[1].ip", "did you mean `address`?"),
    Bad(hosts(A, B + ", labls: {}"), 4, "hosts[1].labls", "did you mean `labels`?"),
    Bad(hosts(A, B + ", labels: {'a b': x}"), 4, "hosts[1].labels.a b", "label key"),
    Bad(hosts(A, B + ", labels: {a: 'x y'}"), 4, "hosts[1].labels.a", "label value"),
    Bad(hosts(A, B + ", ssh: {password: hunter2}"), 4, "hosts[1].ssh.password", "mode 0600"),
    Bad(HOSTS + "endpont: {vip: 192.168.1.9}\n", 5, "endpont", "did you mean `endpoint`?"),
    Bad(HOSTS + "vip: 192.168.1.9\n", 5, "vip", "belongs in `endpoint`"),
    Bad(HOSTS + "network:\n  dns: {}\n", 6, "network.dns", "top of the file"),
    Bad(HOSTS + "network:\n  dnsdomain: x\n", 6, "network.dnsdomain", "did you mean `dns_domain`?"),
    Bad("name: demo\n", 1, "hosts", "is missing"),
    Bad("name: demo\nhosts: []\n", 2, "hosts", "at least one"),
    Bad("name: demo\nhosts: {a: 1}\n", 2, "hosts", "must be a list"),
    Bad(HOSTS + "versions: {kubernetes: v1.20.2}\n", 5, "versions.kubernetes", "write '1.20.2'"),
    Bad(HOSTS + "versions: {kubernetes: latest}\n", 5, "versions.kubernetes", "three numbers"),
    Bad(HOSTS + "load_balancer: {virtual_router_id: 256}\n", 5, "load_balancer.virtual_router_id", "at most 255"),
    Bad(HOSTS + "load_balancer: {kind: ngnix}\n", 5, "load_balancer.kind", "write nginx"),
    Bad(HOSTS + "apiserver: {port: 70000}\n", 5, "apiserver.port", "at most 65535"),
    Bad(HOSTS + "network: {pod_cidr: 10.244.1.0/16}\n", 5, "network.pod_cidr", "write 10.244.0.0/16"),
    Bad(HOSTS + "network: {pod_cidr: 10.244.0.0/40}\n", 5, "network.pod_cidr", "IPv4 network"),
    Bad(HOSTS + "network: {service_cidr: 'fd00::/64'}\n", 5, "network.service_cidr", "IPv4 network"),
    Bad(HOSTS + "apiserver: {extra_flags: {--v: '4'}}\n", 5, "apiserver.extra_flags.--v", "without its leading"),
    Bad(HOSTS + "etcd: {data_dir: /}\n", 5, "etcd.data_dir", "two deep"),
    Bad(HOSTS + "etcd: {data_dir: /var/lib/../../etc}\n", 5, "etcd.data_dir", "absolute folder"),
    Bad(
        HOSTS + "runtime: {registry_mirrors: {docker.io: [ftp://x]}}\n",
        5,
        "runtime.registry_mirrors.docker.io[0]",
        "URL",
    ),
)

HOST_RULES = (
    Bad(hosts(A, "name: a, address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "already that of a"),
    Bad(hosts(A, "name: b, address: 192.168.1.1, roles: [worker]"), 4, "hosts[1].address", "already that of a"),
    Bad(hosts(A, B + ", node_name: a"), 4, "hosts[1].node_name", "already that of a"),
    Bad(hosts(A + ", ssh_address: x", B + ", ssh_address: x"), 4, "hosts[1].ssh_address", "already leads to a"),
    Bad(hosts(A, "name: localhost, address: 192.168.1.2, roles: [worker]"), 4, "hosts[1].name", "every machine"),
    Bad(hosts(A, "name: b, address: 0.0.0.0, roles: [worker]"), 4, "hosts[1].address", "unspecified"),
    Bad(hosts(A, "name: b, address: 127.0.0.1, roles: [worker]"), 4, "hosts[1].address", "loopback"),
    Bad(hosts(A, "name: b, address: 224.0.0.18, roles: [worker]"), 4, "hosts[1].address", "multicast"),
    Bad(hosts(A, "name: b, address: 255.255.255.255, roles: [worker]"), 4, "hosts[1].address", "broadcast"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: [etcd, worker]"), 2, "hosts", "must be odd"),
    Bad(hosts("name: a, address: 192.168.1.1, roles: [master]", B), 2, "hosts", "no host has the role etcd"),
    Bad(hosts("name: a, address: 192.168.1.1, roles: [worker, etcd]"), 2, "hosts", "the role control-plane"),
    Bad(hosts(A), 2, "hosts", "the role worker"),
    Bad(hosts(A, "name: b, address: 192.168.1.2, roles: [worker, worker]"), 4, "hosts[1].roles[1]", "twice"),
    Bad(
        hosts("name: a, address: 192.168.1.1, roles: [etcd, master, control-plane]", B), 3, "hosts[0].roles[2]", "twice"
    ),
    Bad(hosts(A + ", labels: {x: y}", B), 3, "hosts[0].labels", "no node"),
    Bad(hosts(A, B + ", labels: {kubernetes.io/hostname: x}"), 4, "hosts[1].labels.kubernetes.io/hostname", "itself"),
    Bad(hosts(A, B + ", taints: [{key: node.kubernetes.io/not-ready}]"), 4, "hosts[1].taints[0].key", "itself"),
    Bad(hosts(A, B + ", taints: [{key: x}, {key: x}]"), 4, "hosts[1].taints[1]", "twice"),
    Bad(
        hosts(A, *(f"name: n{n}, address: 10.9.{n // 250}.{n % 250 + 1}, roles: [worker]" for n in range(512))),
        2,
        "hosts",
        "at most 512",
    ),
)

M2 = "name: m, address: 192.168.1.4, roles: [control-plane]"
SHARED = "name: a, address: 192.168.1.1, roles: [control-plane, etcd, load-balancer]"
END_RULES = (
    Bad(hosts(A, B, M2), 2, "hosts", "one etcd member"),
    Bad(hosts(A, B, M2), 1, "endpoint", "without an endpoint"),
    Bad(HOSTS + "endpoint: {vip: 192.168.1.9}\n", 5, "endpoint.vip", "no host has the role load-balancer"),
    Bad(BALANCED, 5, "hosts[2].roles", "no virtual IP"),
    Bad(BALANCED + "endpoint: {vip: 192.168.1.9, address: x}\n", 6, "endpoint.address", "exclude"),
    Bad(BALANCED + "endpoint: {vip: 192.168.1.2}\n", 6, "endpoint.vip", "address of host b"),
    Bad(BALANCED + "endpoint: {vip: 192.168.2.9}\n", 6, "endpoint.vip", "outside of 192.168.1.0/24"),
    Bad(BALANCED + "endpoint: {vip: 192.168.1.9, prefix: 29}\n", 6, "endpoint.vip", "outside of 192.168.1.0/29"),
    Bad(BALANCED + "endpoint: {vip: 192.168.1.255}\n", 6, "endpoint.vip", "first or last"),
    Bad(BALANCED + "endpoint: {vip: 224.0.0.18}\n", 6, "endpoint.vip", "no address of a machine"),
    Bad(hosts(SHARED, B) + "endpoint: {vip: 192.168.1.9}\n", 5, "endpoint.port", "port: 8443"),
    Bad(BALANCED + "endpoint: {vip: 192.168.1.9, port: 22}\n", 6, "endpoint.port", "ssh.port"),
    Bad(HOSTS + "apiserver: {port: 2379}\n", 5, "apiserver.port", "also that of etcd"),
    Bad(HOSTS + "endpoint: {port: 8443}\n", 5, "endpoint.port", "apiserver.port instead"),
    Bad(HOSTS + "endpoint: {address: 127.0.0.1}\n", 5, "endpoint.address", "all hosts can reach"),
    Bad(HOSTS + "endpoint: {address: localhost}\n", 5, "endpoint.address", "another machine"),
    Bad(HOSTS + "network: {node_ports: 32767-30000}\n", 5, "network.node_ports", "lower to a higher"),
    Bad(HOSTS + "network: {node_ports: 30000-70000}\n", 5, "network.node_ports", "65535"),
    Bad(HOSTS + "network: {node_ports: 10000-32767}\n", 5, "network.node_ports", "port 10250"),
    Bad(HOSTS + "load_balancer: {advert_interval: 0.015}\n", 5, "load_balancer.advert_interval", "multiple of 0.01"),
)

PART_RULES = (
    Bad(HOSTS + "network: {pod_cidr: 10.96.0.0/12}\n", 5, "network.pod_cidr", "overlaps with pod_cidr"),
    Bad(HOSTS + "network: {service_cidr: 10.244.0.0/24}\n", 5, "network.service_cidr", "overlaps"),
    Bad(HOSTS + "network: {pod_cidr: 192.168.0.0/16}\n", 5, "network.pod_cidr", "the address of host a"),
    Bad(HOSTS + "network: {pod_cidr: 127.0.0.0/16}\n", 5, "network.pod_cidr", "loopback"),
    Bad(HOSTS + "network: {service_cidr: 10.96.0.0/29}\n", 5, "network.service_cidr", "too small"),
    Bad(HOSTS + "network: {service_cidr: 172.0.0.0/8}\n", 5, "network.service_cidr", "larger"),
    Bad(HOSTS + "network: {node_mask: 16, pod_cidr: 10.244.0.0/17}\n", 5, "network.node_mask", "larger than the whole"),
    Bad(HOSTS + "network: {pod_cidr: 11.0.0.0/8, node_mask: 25}\n", 5, "network.node_mask", "16 bits"),
    Bad(HOSTS + "network: {node_mask: 26}\n", 5, "network.node_mask", "max_pods"),
    Bad(
        hosts(A, B, "name: c, address: 192.168.1.3, roles: [worker]") + "network: {pod_cidr: 10.244.0.0/24}\n",
        6,
        "network.pod_cidr",
        "/23 or larger",
    ),
    Bad(HOSTS + "network: {cni: manifest}\n", 5, "network.manifest", "is missing"),
    Bad(HOSTS + "network: {manifest: x.yaml}\n", 5, "network.manifest", "has no effect"),
    Bad(HOSTS + "network: {cni: manifest, manifest: x.yaml}\n", 5, "network.manifest", "No such file"),
    Bad(HOSTS + "network: {cni: manifest, manifest: 'http://x/y'}\n", 5, "network.manifest", "https"),
    Bad(HOSTS + "versions: {kubernetes: 1.19.0}\n", 5, "versions.kubernetes", "1.20"),
    Bad(HOSTS + "versions: {kubernetes: 1.99.0}\n", 5, "versions.kubernetes", "1.36"),
    Bad(HOSTS + "versions: {etcd: 3.3.0}\n", 5, "versions.etcd", "does not fit"),
    Bad(HOSTS + "runtime: {kind: docker}\n", 5, "runtime.kind", "dockershim"),
    Bad(
        HOSTS + "versions: {kubernetes: 1.20.2}\nnetwork: {proxy_mode: nftables}\n",
        6,
        "network.proxy_mode",
        "iptables, ipvs",
    ),
    Bad(HOSTS + "etcd: {heartbeat_ms: 200}\n", 5, "etcd.heartbeat_ms", "at least 1000"),
    Bad(HOSTS + "etcd: {data_dir: /etc/etcd}\n", 5, "etcd.data_dir", "folder of the system"),
    Bad(HOSTS + "etcd: {data_dir: /var/lib}\n", 5, "etcd.data_dir", "folder of the system"),
    Bad(HOSTS + "pki: {leaf_days: 3650}\n", 5, "pki.leaf_days", "outlive"),
    Bad(HOSTS + "pki: {leaf_days: 30}\n", 5, "pki.leaf_days", "never cease"),
    Bad(
        HOSTS + "apiserver: {extra_flags: {etcd-servers: x}}\n",
        5,
        "apiserver.extra_flags.etcd-servers",
        "set by quorate",
    ),
    Bad(
        HOSTS + "apiserver:\n  extra_flags:\n    client-ca-file: x\n",
        7,
        "apiserver.extra_flags.client-ca-file",
        "issued and renewed",
    ),
    Bad(HOSTS + "kubelet: {config: {readOnlyPort: 10255}}\n", 5, "kubelet.config.readOnlyPort", "unprotected"),
    Bad(HOSTS + "apiserver: {extra_sans: [x, x]}\n", 5, "apiserver.extra_sans[1]", "twice"),
    Bad(HOSTS + "apiserver: {extra_sans: [1.2.3]}\n", 5, "apiserver.extra_sans[0]", "neither"),
    Bad(HOSTS + "apiserver: {audit_policy: x}\n", 5, "apiserver.audit_policy", "No such file"),
    Bad(HOSTS + "artifacts: {source: directory}\n", 5, "artifacts.directory", "is missing"),
    Bad(HOSTS + "artifacts: {directory: .}\n", 5, "artifacts.directory", "SHA256SUMS"),
    Bad(HOSTS + "artifacts: {images: [x.tar]}\n", 5, "artifacts.images[0]", "No such file"),
    Bad(HOSTS + "ssh: {key: nothing}\n", 5, "ssh.key", "No such file"),
    Bad(HOSTS + "ssh: {key: .}\n", 5, "ssh.key", "is no file"),
    Bad(HOSTS + "ssh: {key: cluster.yaml}\n", 5, "ssh.key", "chmod 600"),
)


@pytest.mark.parametrize("bad", [*YAML, *SHAPE, *HOST_RULES, *END_RULES, *PART_RULES], ids=str)
def test_refused_with_line_field_and_fix(tmp_path: Path, bad: Bad) -> None:
    found = problems(tmp_path, bad.text)
    at = [each for each in found if each.field == bad.field and each.line == bad.line]
    assert any(bad.words in str(each) for each in at), "\n".join(map(str, found))


@pytest.mark.parametrize("bad", [*YAML, *SHAPE], ids=str)
def test_one_mistake_is_told_once(tmp_path: Path, bad: Bad) -> None:
    told = [each.field for each in problems(tmp_path, bad.text)]
    assert len(told) == len(set(told)), told


def test_all_at_once(tmp_path: Path) -> None:
    text = HOSTS + "endpont: {}\nnetwork: {pod_cidr: x}\netcd: {heartbeat_ms: 500}\npki: {leaf_days: 9999}\n"
    found = [each.field for each in problems(tmp_path, text)]
    assert found == ["endpont", "network.pod_cidr", "etcd.heartbeat_ms", "pki.leaf_days"]


def test_secret_is_not_shown(tmp_path: Path) -> None:
    text = hosts(A, B + ", ssh: {password: hunter2, sudo_passwrd: hunter2}") + "token: hunter2\n"
    assert "hunter2" not in "\n".join(map(str, problems(tmp_path, text)))


def test_value_is_fit_for_a_terminal(tmp_path: Path) -> None:
    found = problems(tmp_path, hosts(A, 'name: "\\e[2Jb", address: 192.168.1.2, roles: [worker]'))
    assert found[0].value == "\\x1b[2Jb"


def test_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SpecError) as caught:
            load(path)
        assert "quorate init" in caught.value.hint
