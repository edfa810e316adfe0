"""Good cluster files load as they are meant; SSH settings and paths resolve."""

import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from quorate.core import SpecError
from quorate.spec.cluster import Cluster, Role
from quorate.spec.load import load
from quorate.spec.ports import openings
from quorate.spec.reference import markdown
from quorate.spec.schema import schema
from quorate.spec.ssh import ssh_of
from quorate.spec.starter import starter
from quorate.spec.words import BY_PATTERN

ROOT = Path(__file__).parents[2]
TEXT = """\
name: demo
hosts:
  - {name: a, address: 192.168.1.1, roles: [master, etcd], ssh: {user: admin, ask_password: true}}
  - {name: b, address: 192.168.1.2, ssh_address: b.example, roles: [worker]}
"""


def write(folder: Path, text: str) -> Cluster:
    (folder / "cluster.yaml").write_text(text)
    return load(folder / "cluster.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_load(path: Path) -> None:
    assert load(path).name == path.stem


def test_described_topology() -> None:
    cluster = load(ROOT / "examples/described.yaml")
    roles = {host.ip: (host.name, *map(str, host.roles)) for host in cluster.hosts}
    assert roles == {
        "192.168.109.131": ("master01", "control-plane", "etcd"),
        "192.168.109.134": ("master02", "control-plane"),
        "192.168.109.132": ("node01", "worker", "etcd"),
        "192.168.109.133": ("node02", "worker", "etcd"),
        "192.168.109.135": ("nginx01", "load-balancer"),
        "192.168.109.137": ("nginx02", "load-balancer"),
    }
    assert cluster.server_url == "https://192.168.109.200:6443"
    assert (cluster.service_ip, cluster.dns_ip) == ("10.0.0.1", "10.0.0.2")
    assert [host.node for host in cluster.workers] == ["192.168.109.132", "192.168.109.133"]
    assert (cluster.versions.kubernetes, cluster.runtime.kind) == ("1.20.2", "docker")


def test_starter_loads(tmp_path: Path) -> None:
    for name in ("my-cluster", "7", "null", "0x1f", "1e3"):
        assert write(tmp_path, starter(name)).name == name
    assert len(starter().splitlines()) < 60
    for bad in ("", "My", "a b", "x\n", "$(id)"):
        with pytest.raises(SpecError):
            starter(bad)


def test_starter_comments_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "ssh-password").write_text("x")
    (tmp_path / "ssh-password").chmod(0o600)
    plain = starter()
    head, _, tail = plain.partition("# All below is commented out and shows the defaults.\n")
    shown = "\n".join(line[2:] for line in tail.splitlines() if "id_ed25519" not in line)
    left, right = write(tmp_path, plain), write(tmp_path, head + shown)
    assert left.model_dump(exclude={"ssh"}) == right.model_dump(exclude={"ssh"})


def test_master_is_control_plane(tmp_path: Path) -> None:
    assert write(tmp_path, TEXT).hosts[0].roles == (Role.CONTROL_PLANE, Role.ETCD)


def test_ssh_defaults_and_overrides(tmp_path: Path) -> None:
    cluster = write(tmp_path, TEXT + "ssh: {port: 2222, user: ops, connect_timeout: 3}\n")
    a, b = (ssh_of(cluster, host) for host in cluster.hosts)
    assert (a.user, a.port, a.address, a.ask_password, a.connect_timeout) == ("admin", 2222, "192.168.1.1", True, 3)
    assert (b.user, b.port, b.address, b.ask_password) == ("ops", 2222, "b.example", False)
    assert a.known_hosts == tmp_path / ".quorate/demo/known_hosts"
    plain = write(tmp_path, TEXT)
    bare = ssh_of(plain, plain.hosts[1])
    assert (bare.user, bare.port, bare.connect_timeout, bare.jump) == ("root", 22, 15, None)


def test_lab_settings_hold_under_the_files_own(tmp_path: Path) -> None:
    state = tmp_path / ".quorate/demo"
    state.mkdir(parents=True)
    (state / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (state / "id").chmod(0o600)
    (state / "ssh.yaml").write_text("key: id\nport: 2022\nuser: lab\n")
    ssh = ssh_of(cluster := write(tmp_path, TEXT + "ssh: {user: ops}\n"), cluster.hosts[1])
    assert (ssh.key, ssh.port, ssh.user) == (state / "id", 2022, "ops")
    (state / "ssh.yaml").write_text("prot: 2022\n")
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "cluster.yaml")
    assert "did you mean `port`?" in str(caught.value)
    assert str(state / "ssh.yaml") in str(caught.value)


def test_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cni.yaml").write_text('{"apiVersion": "v1", "kind": "List"}')
    (tmp_path / "pass").write_text("x")
    (tmp_path / "pass").chmod(0o600)
    text = TEXT + "network: {cni: manifest, manifest: cni.yaml}\nartifacts: {cache: c}\n"
    write(tmp_path, text + "ssh: {password_file: pass, sudo_password_file: env:SUDO}\n")
    monkeypatch.chdir(tmp_path)
    cluster = load(Path("cluster.yaml"))
    assert cluster.network.manifest == str(tmp_path / "cni.yaml")
    assert cluster.artifacts.cache == tmp_path / "c"
    assert cluster.ssh.password_file == tmp_path / "pass"
    assert cluster.ssh.sudo_password_file == Path("env:SUDO")


def test_text_stays_literal(tmp_path: Path) -> None:
    text = (
        "etcd: {extra_flags: {cors: $(id), log-level: '%n {};', logger: yes, metrics: 2024-01-01, auth-token: '1:30'}}"
    )
    flags = write(tmp_path, f"{TEXT}{text}\n").etcd.extra_flags
    assert flags == {
        "cors": "$(id)",
        "log-level": "%n {};",
        "logger": "yes",
        "metrics": "2024-01-01",
        "auth-token": "1:30",
    }


def test_where_only_documents_tell_a_flag_of_another_version_is_taken(tmp_path: Path) -> None:
    """They have holes: kube-proxy's of 1.20 leaves out --v."""
    flags = "{v: '2', detect-local-mode: ClusterCIDR}"
    cluster = write(tmp_path, f"{TEXT}versions: {{kubernetes: 1.20.2}}\nproxy: {{extra_flags: {flags}}}\n")
    assert cluster.proxy.extra_flags["v"] == "2"


def test_a_cluster_that_runs_may_have_an_even_number_of_members(tmp_path: Path) -> None:
    hosts = ", ".join(
        f"{{name: m{number}, address: 192.168.1.{number}, roles: [etcd, worker, control-plane]}}" for number in (1, 2)
    )
    text = f"name: c\nhosts: [{hosts}]\nendpoint: {{address: api.example}}\n"
    with pytest.raises(SpecError, match="must be odd"):
        write(tmp_path, text)
    (tmp_path / ".quorate/c").mkdir(parents=True)
    (tmp_path / ".quorate/c/last-applied.yaml").write_text(text)
    assert len(write(tmp_path, text).members) == 2


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert write(tmp_path, "\ufeff" + TEXT).name == "demo"


def test_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/reference.md").read_text() == markdown(), (
        "run `python -m quorate.spec.reference > docs/reference.md`"
    )


def test_every_field_is_described() -> None:
    for name, model in schema()["$defs"].items():
        bare = [field for field, about in model.get("properties", {}).items() if not about.get("description")]
        assert not bare, (name, bare)


def test_schema_knows_master_and_every_pattern_has_words() -> None:
    made = schema()
    assert "master" in made["$defs"]["Role"]["enum"]

    def patterns(node: object) -> set[str]:
        match node:
            case dict():
                own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
                own |= set(node.get("patternProperties", ()))
                return own.union(*(patterns(each) for each in node.values()))
            case list():
                return set().union(*(patterns(each) for each in node))
        return set()

    assert patterns(made) <= set(BY_PATTERN)


def test_openings_of_the_described_cluster() -> None:
    cluster = load(ROOT / "examples/described.yaml")

    def table(name: str) -> dict[str, tuple[str, ...]]:
        return {f"{o.protocol} {','.join(o.ports)}".strip(): o.sources for o in openings(cluster, cluster.host(name))}

    masters, nodes = ("192.168.109.131", "192.168.109.134"), ("192.168.109.132", "192.168.109.133")
    master = table("master01")
    assert master["tcp 2379"] == (*nodes, masters[1])
    assert master["tcp 2380"] == nodes
    assert set(master["tcp 6443"]) == {str(h.address) for h in cluster.hosts} - {masters[0]} | {"10.244.0.0/16"}
    assert set(master) == {"tcp 2379", "tcp 2380", "tcp 6443"}
    assert table("nginx01") == {"tcp 6443": ("any",), "vrrp": ("192.168.109.137",)}
    node = table("node01")
    assert node["tcp 30000-32767"] == node["udp 30000-32767"] == ("any",)
    assert set(node["all"]) == {"10.244.0.0/16", nodes[1]}
    assert node["tcp 10250"][:1] == ("10.244.0.0/16",)
    assert IPv4Address(node["tcp 10250"][1])


def test_reading_is_quick() -> None:
    """CPU seconds for import and load of the described cluster; 0.3 on an idle machine, and room for a busy one."""
    script = "import sys,time; from pathlib import Path; from quorate.spec.load import load; load(Path(sys.argv[1]))"
    timed = f"{script}; print(time.process_time())"
    argv = [sys.executable, "-c", timed, str(ROOT / "examples/described.yaml")]
    least = min(float(subprocess.run(argv, check=True, capture_output=True).stdout) for _ in range(3))
    assert least < 1.5
