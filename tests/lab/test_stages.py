"""Growing, shrinking, replacing, moving the endpoint: one cluster through all its stages, under a running probe."""

import time
from collections.abc import Iterator

import pytest
from booting import booted
from deployed import Deployed
from stages import BALANCERS, DESCRIBED, EVERYBODY, HOSTS, NET, SINGLE, THREE, VIP, Stages, spec
from waiting import within

from quorate.drill.record import Result
from quorate.lab import fault
from quorate.spec.load import load

pytestmark = pytest.mark.lab
TRACES = (
    "ls -d /etc/kubernetes /etc/etcd /var/lib/quorate /etc/quorate /opt/kubernetes 2>/dev/null || :; ls /var/lib/etcd"
)
MEMBERS = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt --cert=/etc/etcd/pki/client.crt "
    "--key=/etc/etcd/pki/client.key member list"
)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """All hosts, bare."""
    file = tmp_path_factory.mktemp("stages") / "cluster.yaml"
    file.write_text(spec(EVERYBODY))
    cluster = load(file)
    made = Stages(Deployed(file), cluster)
    made.deployed.quorate("artifacts", limit=3600)
    with booted(cluster, file):
        made.everybody = load(file)
        yield made


def on(stages: Stages, host: str, script: str) -> str:
    return stages.run(host, script)


def calm(result: Result) -> None:
    """The endpoint was there all the while: nobody was refused, cut off or answered with an error.

    Tries begin every twentieth of a second and have half a second: on two cores for all hosts one pause is many that
    are late, so what is late is judged by the gap.
    """
    assert result.new.longest_gap < 1.0
    assert result.new.failed - result.new.words.get("timeout", 0) <= result.new.total / 200
    assert result.new.words.get("timeout", 0) <= result.new.total / 20


def holder(stages: Stages, vip: str = VIP) -> str:
    """The balancer that has the virtual IP."""
    found = [name for name in ("lb01", "lb02") if f" {vip}/" in on(stages, name, "ip -4 -o addr show")]
    assert len(found) == 1
    return found[0]


def test_a_single_master(stages: Stages) -> None:
    stages.write(spec(SINGLE))
    stages.apply()
    stages.verify()


def test_it_becomes_the_described_cluster(stages: Stages) -> None:
    """The one API server answers until everybody is at the virtual IP; it restarts after that."""

    def grow() -> None:
        with stages.either(f"{NET}.11:6443", f"{VIP}:8443"):
            stages.write(spec(DESCRIBED))
            stages.apply()

    stages.watched("single master to described", grow)
    stages.verify()
    assert "etcd" in on(stages, "node01", "systemctl is-active etcd && echo etcd")


def test_it_becomes_three_masters(stages: Stages) -> None:
    """etcd moves from the workers to the masters; workers keep nothing of it."""

    def grow() -> None:
        stages.write(spec(THREE))
        stages.apply()

    result = stages.watched("described to three masters", grow)
    calm(result)
    stages.verify()
    for worker in ("node01", "node02"):
        assert "etcd" not in on(stages, worker, "ls /etc; ls -A /var/lib/etcd; systemctl is-active etcd || :")


def test_members_change_and_nobody_gets_an_error(stages: Stages) -> None:
    """Each API server stops in good order before its member of etcd restarts, and starts after it, host after host."""
    stages.write(spec(THREE, more='etcd: {extra_flags: {snapshot-count: "20000"}}'))
    plan = stages.deployed.quorate("plan", code=2).stdout
    assert plan.count("kube-apiserver stops before and starts after it") == 3
    result = stages.watched("the members of etcd change", stages.apply)
    calm(result)
    for stream in (result.new, result.kept, result.writes):
        assert not [word for word in stream.words if word.startswith(("http-5", "unknown-http-5"))]
    stages.write(spec(THREE))
    stages.apply()


def test_a_worker_comes_and_goes_and_comes_again(stages: Stages) -> None:
    """The same host under the same address: drained, clean in between, with new keys after."""
    key = "sha256sum /etc/kubernetes/pki/kubelet-client.key"
    stages.write(spec({**THREE, "node03": "worker"}))
    stages.watched("a worker is added", stages.apply)
    first = on(stages, "node03", key)
    run = "kubectl create deployment web --image=docker.io/library/busybox:1.36 --replicas=6 -- sleep 3600"
    on(stages, "master01", f"{run} && kubectl rollout status deployment web --timeout=60s")
    stages.write(spec(THREE))
    stages.watched("a worker is drained and removed", stages.apply)
    where = "kubectl get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}'"
    assert "node03" not in on(stages, "master01", f"kubectl rollout status deployment web --timeout=60s; {where}")
    assert "node03" not in on(stages, "master01", "kubectl get nodes -o name")
    assert on(stages, "node03", TRACES).split() == []
    stages.write(spec({**THREE, "node03": "worker"}))
    stages.apply()
    assert on(stages, "node03", key) != first
    on(stages, "master01", "kubectl delete deployment web --wait=false")


def test_a_dead_worker_is_taken_out(stages: Stages) -> None:
    """It blocks nobody while it is in the file, and goes when it is not."""
    fault.kill("test-stages", "node03")
    document = stages.deployed.json("plan", code=6)
    assert list(document["unreachable"]) == ["node03"]  # type: ignore[call-overload]
    stages.deployed.quorate("apply", "--yes", code=6)
    stages.write(spec(THREE))
    stages.apply()
    assert "node03" not in on(stages, "master01", "kubectl get nodes -o name")
    stages.verify()


def test_a_dead_master_is_left_out_and_comes_back(stages: Stages) -> None:
    """Its member leaves etcd and nobody sends it anything, though the file names it; what it comes back with is laid
    aside, and it joins as a new one.
    """
    fault.kill("test-stages", "master03")

    def leave_out() -> None:
        stages.deployed.quorate("apply", "--yes", "--without", "master03")
        stages.deployed.quorate("plan", code=0)

    calm(stages.watched("a dead master is left out", leave_out))
    assert on(stages, "master01", MEMBERS).count(", started, ") == 2
    assert f"{NET}.{HOSTS['master03']}" not in on(stages, "lb01", "cat /etc/quorate/*.conf")
    assert "master03 is left out" in stages.deployed.quorate("status", code=0).stdout
    stages.verify()
    fault.start("test-stages", "master03")
    calm(stages.watched("it comes back", stages.apply))
    assert on(stages, "master01", MEMBERS).count(", started, ") == 3
    assert "wal" in on(stages, "master03", "ls /var/lib/etcd/former-*")
    on(stages, "master03", "rm -r /var/lib/etcd/former-*")
    stages.healthy(within=60)
    stages.verify()


def test_too_many_dead_members_are_refused(stages: Stages) -> None:
    """Two of three: the refusal names them, what is left, and what to do; nothing is touched."""
    for host in ("master02", "master03"):
        fault.kill("test-stages", host)
    stages.write(spec({name: roles for name, roles in THREE.items() if name not in ("master02", "master03")}))
    said = stages.deployed.quorate("apply", "--yes", code=4).stderr
    assert "lost its quorum" in said
    assert "master02, master03" in said
    for host in ("master02", "master03"):
        fault.start("test-stages", host)
    stages.write(spec(THREE))
    stages.healthy(within=120)
    stages.deployed.quorate("plan", code=0)


def test_a_power_cut_loses_nothing(stages: Stages) -> None:
    """All hosts at once, back one after the other, workers first: the cluster comes back without quorate."""
    on(stages, "master01", "kubectl create configmap before-the-cut --from-literal=acknowledged=yes")
    names = [host.name for host in stages.deployed.cluster.hosts]
    for host in names:
        fault.kill("test-stages", host)
    began = time.monotonic()
    for host in sorted(names, reverse=True):
        fault.start("test-stages", host)
    stages.healthy(within=180)
    print(f"all well {time.monotonic() - began:.0f} s after the power came back")
    assert on(stages, "master02", "kubectl get configmap before-the-cut -o jsonpath={.data.acknowledged}") == "yes"
    stages.deployed.quorate("plan", code=0)


def test_a_stopped_etcd_is_started_together(stages: Stages) -> None:
    """The first member alone would be waited for in vain."""
    for master in ("master01", "master02", "master03"):
        on(stages, master, "systemctl stop etcd")
    stages.apply()
    stages.healthy(within=60)


def test_a_member_waits_for_its_disk(stages: Stages) -> None:
    """On a disk of its own, which is not mounted after a boot: etcd does not begin below it, and is back with it."""
    move = "systemctl stop etcd; mkdir /srv/disk; cp -a /var/lib/etcd/. /srv/disk; rm -rf /var/lib/etcd/member"
    move += "; mount --bind /srv/disk /var/lib/etcd"
    on(stages, "master03", f"{move}; echo '/srv/disk /var/lib/etcd none bind,noauto 0 0' >> /etc/fstab")
    stages.apply()
    stages.healthy(within=60)
    fault.kill("test-stages", "master03")
    fault.start("test-stages", "master03")
    on(stages, "master03", "umount /var/lib/etcd")  # what the lab itself has mounted there
    refused = "journalctl -b -u etcd -o cat | grep -c 'is not on the disk of this member: there is no log' || :"
    assert within(60, lambda: int(on(stages, "master03", refused)) > 1, 1)
    said = stages.refused("preflight", code=4)
    assert "/var/lib/etcd is a mount point by /etc/fstab, and nothing is mounted" in " ".join(said.split())
    on(stages, "master03", "test ! -e /var/lib/etcd/member && mount /var/lib/etcd")
    stages.healthy(within=60)
    stages.deployed.quorate("plan", code=0)


def test_a_member_begins_on_no_blank_disk(stages: Stages) -> None:
    """Its disk was exchanged: by itself it would have forgotten what it promised. It joins anew when that is said."""
    on(stages, "master03", "systemctl stop etcd; rm -rf /srv/disk/*; systemctl start --no-block etcd")
    refused = stages.refused("apply", "--yes", code=4)
    assert "etcd data is gone from /var/lib/etcd" in refused
    assert "--replace master03" in refused
    assert on(stages, "master03", "ls -A /var/lib/etcd; systemctl is-active etcd || :").split() == ["activating"]
    stages.apply("--replace", "master03")
    assert "/var/lib/etcd" in on(stages, "master03", "findmnt -n -o TARGET /var/lib/etcd; ls /srv/disk/member/wal")
    stages.healthy(within=60)


def test_a_join_that_is_cut_off_costs_no_quorum_and_goes_on(stages: Stages) -> None:
    """The host is lost between being let in and starting: a learner has no vote."""

    def peers(how: str) -> str:
        return (
            f"iptables -w {how} INPUT -p tcp --dport 2380 -j DROP; iptables -w {how} OUTPUT -p tcp --dport 2380 -j DROP"
        )

    def grow() -> None:
        stages.write(spec({**THREE, "node01": "worker, etcd"}))
        # Let in, but not able to start: else a quick machine is done before the cable is out.
        on(stages, "node01", peers("-I"))
        # The preflight sees that, and is told to let it be.
        with stages.deployed.started("apply", "--yes", "--waive", "reach@node01") as process:
            while f"{NET}.{HOSTS['node01']}:2380" not in on(stages, "master01", MEMBERS):
                assert process.poll() is None
            fault.cut("test-stages", "node01")
            assert process.wait(timeout=300) == 7
        fault.heal("test-stages", "node01")
        on(stages, "node01", peers("-D"))
        stages.apply()

    stages.watched("a joining member is cut off", grow)
    assert on(stages, "master01", MEMBERS).count(", started, ") == 4
    stages.write(spec(THREE))
    stages.apply()


@pytest.mark.parametrize("role", ["master01", "holder"])
def test_a_dead_host_is_replaced(stages: Stages, role: str) -> None:
    """The first master with its member of etcd; the balancer that has the virtual IP."""
    replace(stages, holder(stages) if role == "holder" else role)


def replace(stages: Stages, host: str) -> None:
    def act() -> None:
        fault.replace("test-stages", host)
        # Another key, then another machine: refused until the operator says so.
        assert "HOST KEY CHANGED" in stages.deployed.quorate("plan", code=6).stdout
        stages.deployed.quorate("trust", "--yes", "--replace", host)
        assert f"--replace {host}" in stages.deployed.quorate("apply", "--yes", code=4).stderr
        stages.apply("--replace", host)

    stages.watched(f"{host} dies and is replaced", act)
    stages.verify()


def test_back_to_two_masters(stages: Stages) -> None:
    """master03 leaves with its member; etcd goes back to the workers that had it before."""

    def shrink() -> None:
        stages.write(spec(DESCRIBED))
        stages.apply()

    result = stages.watched("three masters to described", shrink)
    calm(result)
    stages.verify()
    assert on(stages, "master03", TRACES).split() == []


def test_a_worker_with_a_member_is_replaced(stages: Stages) -> None:
    replace(stages, "node01")


def test_the_endpoint_moves_and_the_balancers_change(stages: Stages) -> None:
    """Another virtual IP, another port, haproxy for nginx: at each moment one of both endpoints answers."""
    new = f"{NET}.101"
    with stages.either(f"{VIP}:8443", f"{new}:9443"):
        stages.write(spec(DESCRIBED, vip=new, port=9443))
        stages.apply()
    stages.write(spec(DESCRIBED, vip=new, port=9443, kind="haproxy"))
    stages.watched("nginx to haproxy", stages.apply)
    stages.verify()
    left = (
        "dpkg-query -W -f '${db:Status-Status}' nginx 2>/dev/null | grep -qx installed && echo nginx; ls /etc/quorate"
    )
    for balancer in ("lb01", "lb02"):
        assert "nginx" not in on(stages, balancer, left)


def test_each_node_balances_for_itself_and_no_more(stages: Stages) -> None:
    """From the virtual IP to a balancer on every node and back: no node is without an API server, and API servers do
    not even restart; each way leaves nothing of the other.
    """
    vip, port, own = f"{NET}.101", 9443, "127.0.0.1:6444"
    nodes = ("node01", "node02", "master01")
    alone = {name: has for name, has in DESCRIBED.items() if name not in BALANCERS}
    kubelet = "sed -n 's/^ *server: //p' /etc/kubernetes/kubelet.kubeconfig"
    stages.write(spec(alone, vip="", kind="haproxy"))
    with stages.nodes_reach(nodes, f"{vip}:{port}", own):
        calm(stages.watched("virtual IP to a balancer on every node", stages.apply))
    stages.verify()
    assert on(stages, "node01", kubelet).strip() == f"https://{own}"
    for balancer in BALANCERS:
        assert (
            on(stages, balancer, f"{TRACES}; systemctl is-active keepalived haproxy || :").split() == ["inactive"] * 2
        )
    # Asked at the master's own address: the virtual IP comes while the probe runs.
    text = spec(DESCRIBED, vip=vip, port=port, kind="haproxy")
    with stages.nodes_reach(nodes, own, f"{vip}:{port}"):
        calm(stages.watched("a balancer on every node to the virtual IP", lambda: (stages.write(text), stages.apply())))
    stages.verify()
    assert on(stages, "node01", kubelet).strip() == f"https://{vip}:{port}"
    for node in nodes:
        assert own not in on(stages, node, "ss -Hltn")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("service_cidr: 10.0.0.0/24", "service_cidr: 10.1.0.0/24", "network.service_cidr"),
        ("service_cidr: 10.0.0.0/24", "service_cidr: 10.0.0.0/24, pod_cidr: 10.99.0.0/16", "network.pod_cidr"),
        (f"{NET}.{HOSTS['master02']}", f"{NET}.{HOSTS['master03']}", "--replace master02"),
    ],
)
def test_what_can_not_change_is_refused(stages: Stages, old: str, new: str, said: str) -> None:
    text = stages.deployed.file.read_text()
    stages.write(text.replace(old, new))
    try:
        assert said in stages.deployed.quorate("plan", code=4).stderr
    finally:
        stages.write(text)
    stages.deployed.quorate("plan", code=0)
