"""One set of simulated hosts, and the cluster files that use more or fewer of them."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployed import Deployed
from rest import rested

from quorate.drill.probe import Probe
from quorate.drill.probe_config import Pace, Target
from quorate.drill.record import Result
from quorate.spec.cluster import Cluster
from quorate.state.store import Store
from quorate.transport.ssh import SshTransport

NET = "192.168.121"
VIP = f"{NET}.100"
HOSTS = {
    "master01": 11,
    "master02": 12,
    "master03": 13,
    "node01": 21,
    "node02": 22,
    "node03": 23,
    "lb01": 31,
    "lb02": 32,
}
BALANCERS = {"lb01": "load-balancer", "lb02": "load-balancer"}
WORKERS = {"node01": "worker", "node02": "worker"}

SINGLE = {"master01": "control-plane, etcd", **WORKERS}
DESCRIBED = {
    "master01": "control-plane, etcd",
    "master02": "control-plane",
    "node01": "worker, etcd",
    "node02": "worker, etcd",
    **BALANCERS,
}
THREE = {f"master0{number}": "control-plane, etcd" for number in (1, 2, 3)} | WORKERS | BALANCERS
EVERYBODY = {**THREE, "node03": "worker"}
PACE = Pace(new=0.05, kept=0.05, writes=0.1)


def spec(roles: Mapping[str, str], *, vip: str = VIP, port: int = 8443, kind: str = "nginx", more: str = "") -> str:
    """A cluster file; with an empty `vip` each node has a balancer of its own."""
    lines = ["name: test-stages", 'versions: {kubernetes: "1.20.2"}', "hosts:"]
    lines += [f"  - {{name: {name}, address: {NET}.{HOSTS[name]}, roles: [{has}]}}" for name, has in roles.items()]
    if not vip:
        lines += ["endpoint: {local: true}", f"load_balancer: {{kind: {kind}}}"]
    elif any("load-balancer" in has for has in roles.values()):
        lines += [f"endpoint: {{vip: {vip}, port: {port}}}", f"load_balancer: {{kind: {kind}}}"]
    return "\n".join([*lines, "network: {service_cidr: 10.0.0.0/24}", more, ""])


@dataclass
class Stages:
    """The hosts, the file as it is now, and what the probe saw in each stage."""

    deployed: Deployed
    everybody: Cluster
    """All hosts, also those that the file does not name."""
    seen: dict[str, Result] = field(default_factory=dict)

    def write(self, text: str) -> None:
        """The cluster file from now on."""
        self.deployed.file.write_text(text)

    def run(self, host: str, script: str) -> str:
        """The output of a script on a host."""

        async def one() -> str:
            via = SshTransport.of(self.everybody)
            try:
                return await via.run(host, script)
            finally:
                await via.close()

        return asyncio.run(one())

    def watched(self, what: str, act: Callable[[], object]) -> Result:
        """What a client at the endpoint feels while something is done; no write may be lost.

        The endpoint is that of the file before the act.
        """
        cluster = self.deployed.cluster
        store = Store.beside(self.deployed.file, cluster.name)
        target = Target.of(cluster, store.secrets(cluster, datetime.now(UTC), persist=False))

        async def run() -> Result:
            async with Probe(target, PACE) as probe:
                await asyncio.to_thread(act)
            assert probe.result is not None
            return probe.result

        rested()
        result = self.seen[what] = asyncio.run(run())
        print(f"{what}, {result.end:.0f} s: new {result.new}; kept {result.kept}; writes {result.writes}")
        assert (result.problem, result.lost, result.undone) == ("", (), ())
        assert result.acknowledged > 0
        return result

    def apply(self, *words: str) -> None:
        """Apply, and nothing is left to do."""
        self.deployed.quorate("apply", "--yes", *words)
        self.deployed.quorate("plan", code=0)

    def refused(self, *words: str, code: int) -> str:
        """All that is said to words that are refused."""
        done = self.deployed.quorate(*words, code=code)
        return done.stdout + done.stderr

    def healthy(self, within: float) -> None:
        """Wait until `status` finds everything as it should be, for at most so many seconds."""
        end = time.monotonic() + within
        while True:
            try:
                self.deployed.quorate("status")
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(1)
            else:
                return

    def verify(self) -> None:
        """Every check that disturbs nobody; when one fails, what the workers' services said and whom they talk to."""
        try:
            self.deployed.quorate("verify")
        except AssertionError as error:
            look = "date; ss -tnpo | grep kube; journalctl -u kube-proxy -u kubelet -n 40 --no-pager -o short-precise"
            said = self.deployed.run(look, *(host.name for host in self.deployed.cluster.workers))
            raise AssertionError(
                "\n".join([str(error), *(f"== {host}\n{text}" for host, text in said.items())])
            ) from None

    def asked(self, address: str) -> int:
        """curl's exit code: 0 when an API server serves the administrator there within a second; one that stops still
        does.
        """
        pki = self.deployed.file.parent / ".quorate/test-stages/pki"
        argv = ["curl", "-sf", "--noproxy", "*", "-o", "/dev/null", "--max-time", "1", f"https://{address}/api"]
        keys = ["--cacert", str(pki / "ca.crt"), "--cert", str(pki / "admin.crt"), "--key", str(pki / "admin.key")]
        return subprocess.run([*argv, *keys], check=False).returncode

    @contextmanager
    def either(self, old: str, new: str) -> Iterator[None]:
        """At each moment of the block the old endpoint serves, or the new one; in the end the new one does."""
        seen: list[tuple[float, int, int]] = []
        over, began = threading.Event(), time.monotonic()

        def look() -> None:
            with ThreadPoolExecutor(2) as both:
                while not over.is_set():
                    at = time.monotonic() - began
                    seen.append((at, *both.map(self.asked, (old, new))))
                    time.sleep(0.05)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        neither = [(round(at, 1), first, second) for at, first, second in seen if first and second]
        print(f"from {old} to {new}: {len(seen)} looks in {seen[-1][0]:.0f} s, neither served at {neither}")
        assert seen[0][1] == 0 != seen[0][2]
        assert seen[-1][2] == 0
        assert neither == []

    @contextmanager
    def nodes_reach(self, nodes: Sequence[str], *ways: str) -> Iterator[None]:
        """At each moment of the block each of the nodes reaches an API server by one of the ways."""
        over = "/run/stages-over"
        asked = " || ".join(f"ask {way}" for way in ways)
        script = f"""\
ask() {{ curl -gsk --noproxy '*' -o /dev/null --max-time 1 "https://$1/version"; }}
n=0 lost=0
while [ ! -e {over} ] && [ $n -lt 6000 ]; do
  n=$((n + 1)); {asked} || lost=$((lost + 1)); sleep 0.05
done
rm -f {over}; echo $n $lost"""
        with ThreadPoolExecutor(len(nodes)) as each:
            told = [each.submit(self.run, node, script) for node in nodes]
            try:
                yield
            finally:
                for node in nodes:
                    self.run(node, f"touch {over}")
        found = {node: [int(word) for word in one.result().split()] for node, one in zip(nodes, told, strict=True)}
        print(f"looks of nodes, and those at which none of {', '.join(ways)} answered: {found}")
        assert all(looks > 10 and not lost for looks, lost in found.values())
