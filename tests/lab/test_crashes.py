"""Nothing is ever half done: a small cluster with every part, through crashes of quorate, of hosts and of disks.

`make soak` runs it with 100 crashes of each kind, which takes an hour or two.
"""

from collections.abc import Iterator

import crashes
import fallbacks
import full_disks
import one_writer
import pytest
from adopting import adopts_on_another_machine
from booting import booted
from deployed import Deployed
from secrets_search import known, planted, sampled, searched

from quorate.spec.load import load

pytestmark = pytest.mark.lab
NET = "192.168.124"
SPEC = f"""\
name: test-crashes
versions: {{kubernetes: "1.20.2"}}
hosts:
  - {{name: m1, address: {NET}.11, roles: [control-plane, etcd]}}
  - {{name: m2, address: {NET}.12, roles: [control-plane, etcd, load-balancer]}}
  - {{name: n1, address: {NET}.21, roles: [worker, etcd, load-balancer]}}
endpoint: {{vip: {NET}.100, port: 8443}}
load_balancer: {{kind: nginx}}
network: {{service_cidr: 10.0.0.0/24}}
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Three hosts, bare at first."""
    file = tmp_path_factory.mktemp("crashes") / "cluster.yaml"
    file.write_text(SPEC)
    cluster = load(file)
    made = Deployed(file)
    made.quorate("artifacts", limit=3600)
    with booted(cluster, file):
        yield made


def test_no_room_for_etcd(crashed: Deployed) -> None:
    full_disks.no_room_for_etcd(crashed, "n1")


def test_killed_between_steps(crashed: Deployed) -> None:
    print(crashes.killed_between_steps(crashed))


def test_no_room_for_files(crashed: Deployed) -> None:
    full_disks.no_room_for_files(crashed, "n1")


def test_no_room_for_the_state(crashed: Deployed) -> None:
    full_disks.no_room_for_the_state(crashed)


def test_of_two_exactly_one_works(crashed: Deployed) -> None:
    one_writer.exactly_one_works(crashed)
    one_writer.exactly_one_works(crashed, elsewhere=True)


def test_a_killed_holder_is_free_in_time(crashed: Deployed) -> None:
    one_writer.a_killed_holder_is_free_in_time(crashed)
    one_writer.a_killed_holder_is_known_on_its_own_machine(crashed)


def test_a_broken_lock_stops_its_holder(crashed: Deployed) -> None:
    one_writer.a_broken_lock_stops_its_holder(crashed)


def test_a_lost_laptop(crashed: Deployed) -> None:
    adopts_on_another_machine(crashed)


def test_no_secret_is_anywhere(crashed: Deployed) -> None:
    """While a new certificate, an edited unit and stopped services are mended, and when all is looked at."""
    crashed.run("rm /etc/kubernetes/pki/apiserver.key; systemctl stop kube-scheduler", "m1")
    crashed.run("chmod 644 /etc/kubernetes/pki/kubelet-client.key; systemctl stop kubelet", "n1")
    with sampled(crashed) as seen:
        said = {
            " ".join(words): crashed.quorate(*words, code=code)
            for code, *words in (
                (2, "plan", "--verbose"),
                (2, "plan", "--json"),
                (0, "apply", "--yes", "--verbose"),
                (0, "apply", "--yes", "--json"),
                (0, "verify", "--json"),
                (0, "status", "--json"),
                (0, "history", "--json"),
            )
        }
    outputs = {words: done.stdout + done.stderr for words, done in said.items()}
    assert seen.found(known(crashed)) == []
    assert searched(crashed, outputs) == []
    with planted(crashed, "m1") as control:
        assert {place for place, _ in searched(crashed, {}, control)} >= {"m1 journal", "m1 /etc/control"}


def test_what_does_not_hold_goes_back(crashed: Deployed) -> None:
    fallbacks.goes_back(crashed)


def test_killed_at_random_moments(crashed: Deployed) -> None:
    crashes.destroy(crashed)
    print(crashes.killed_at_random_moments(crashed))


def test_hosts_in_trouble(crashed: Deployed) -> None:
    crashes.destroy(crashed)
    print(crashes.hosts_in_trouble(crashed))
