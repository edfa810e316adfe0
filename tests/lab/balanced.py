"""One host with nginx, stand-ins for API servers beside it, and clients."""

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from booting import booted

from quorate.artifact.resolve import resolve
from quorate.component import balancer
from quorate.component.context import Context
from quorate.execute import batch
from quorate.execute.observe import look
from quorate.lab.record import LabInfo
from quorate.plan.step import difference
from quorate.resource.file import Directory
from quorate.resource.resource import Resource
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.layout import BALANCER
from quorate.spec.secrets import Secrets
from quorate.spec.ssh import ResolvedSsh
from quorate.spec.supply import Supply
from quorate.spec.versions import table
from quorate.transport.ssh import SshTransport

T = TypeVar("T")
NAME, NET = "upstreams-try", "192.168.143"
LB, A, B, C = (f"{NET}.{number}" for number in (10, 101, 102, 103))
LATE = 1.0
"""Seconds after which a client gives up."""


def cluster(*masters: str) -> Cluster:
    hosts: list[dict[str, object]] = [{"name": "lb", "address": LB, "roles": ["load-balancer"]}]
    hosts += [{"name": f"m{address[-1]}", "address": address, "roles": ["control-plane"]} for address in masters]
    hosts[1]["roles"] = ["control-plane", "etcd"]
    text = {"name": NAME, "versions": {"kubernetes": "1.20.2"}, "hosts": hosts}
    return Cluster.model_validate({**text, "endpoint": {"address": LB, "port": 8443}})


@dataclass
class Balanced:
    """One host, what it shall have, and stand-ins for API servers beside it."""

    lab: LabInfo
    folder: Path
    supply: Supply
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def through(self, work: Callable[[SshTransport], Awaitable[T]]) -> T:
        """What the work finds on the host."""
        ssh = ResolvedSsh(
            address=LB, user="root", port=22, key=self.lab.key, password_file=None, sudo_password_file=None,
            ask_password=False, ask_sudo_password=False, known_hosts=self.lab.known_hosts, jump=None,
            connect_timeout=30,
        )  # fmt: skip

        async def opened() -> T:
            door = SshTransport({"lb": ssh})
            try:
                return await work(door)
            finally:
                await door.close()

        return asyncio.run(opened())

    def on_host(self, script: str) -> str:
        return self.through(lambda door: door.run("lb", script, timeout=60))

    def resources(self, *masters: str) -> list[Resource]:
        given = Context(cluster(*masters), Facts(), self.supply, Secrets({}, {}), table("1.20"))
        folder = Directory(host="lb", path=BALANCER)
        return [folder, *balancer.resources(given, given.cluster.host("lb"))]

    def apply(self, *masters: str) -> None:
        """One resource after the other, as a walk does it."""

        async def all_(door: SshTransport) -> None:
            for resource in self.resources(*masters):
                states, _ = await look([resource], door)
                if difference(resource.desired, states[resource.key]):
                    for action in resource.converge(states[resource.key] or {}):
                        await door.run("lb", batch.upload(action), blob=action.blob, timeout=90)

        self.through(all_)
        assert self.changes(*masters) == []

    def changes(self, *masters: str) -> list[str]:
        """The plan."""

        async def all_(door: SshTransport) -> list[str]:
            resources = self.resources(*masters)
            states, _ = await look(resources, door)
            return [resource.name for resource in resources if difference(resource.desired, states[resource.key])]

        return self.through(all_)

    def how(self, address: str, word: str) -> None:
        (self.folder / address).write_text(word)

    def serve(self, address: str, word: str) -> None:
        self.how(address, word)
        argv = [sys.executable, str(Path(__file__).with_name("api_server.py")), address, "6443"]
        self.servers[address] = subprocess.Popen([*argv, str(self.folder / "pem"), str(self.folder)])

    def kill(self, address: str) -> None:
        server = self.servers.pop(address)
        server.kill()
        server.wait()

    def requests(self, address: str) -> list[str]:
        log = self.folder / f"{address}.log"
        return log.read_text().split() if log.exists() else []

    def listed(self) -> set[str]:
        """The servers that nginx uses."""
        lines = self.on_host(f"cat {balancer.UPSTREAMS_LIST}").splitlines()
        return {line.split()[1].split(":")[0] for line in lines if not line.endswith(" down;")}

    def soon(self, *servers: str, seconds: float = 10) -> bool:
        end = time.monotonic() + seconds
        while self.listed() != set(servers):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    folder = tmp_path_factory.mktemp("upstreams")
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -keyout pem -out crt"
    subprocess.run(["openssl", *request.split()], cwd=folder, stderr=subprocess.DEVNULL, check=True)
    with (folder / "pem").open("a") as pem:
        pem.write((folder / "crt").read_text())
    whole = cluster(A, B)
    supply = asyncio.run(resolve(whole, print))
    with booted(Cluster(name=NAME, hosts=(whole.host("lb"),)), folder / "cluster.yaml") as lab:
        made = Balanced(lab, folder, supply)
        try:
            for address in (A, B, C):
                subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", lab.bridge], check=True)
            yield made
        finally:
            for server in made.servers.values():
                server.kill()
                server.wait()


class Client:
    """A session: a connection that asks again and again who answers."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection((LB, 8443), timeout=LATE)
        self.socket = context.wrap_socket(raw, suppress_ragged_eofs=False)

    def ask(self) -> str:
        """Who answered. Raises OSError when nobody did in time, or the connection is gone."""
        self.socket.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while NET.encode() not in said:
            if not (more := self.socket.recv(4096)):
                raise ConnectionError("closed")
            said += more
        return said.split()[-1].decode()

    def close(self) -> None:
        self.socket.close()


class Load(threading.Thread):
    """New connections, one after the other, as long as the block lasts, beside sessions that must not break."""

    def __init__(self, *kept: Client) -> None:
        super().__init__()
        self.kept, self.stop = kept, threading.Event()
        self.failed: list[tuple[float, str]] = []
        """When it began, and why."""
        self.broken: list[str] = []
        self.made = 0

    def run(self) -> None:
        while not self.stop.wait(0.02):
            began = time.monotonic()
            self.made += 1
            try:
                client = Client()
                try:
                    client.ask()
                finally:
                    client.close()
            except OSError as error:
                self.failed.append((began, repr(error)))
            for each in self.kept:
                try:
                    each.ask()
                except OSError as error:
                    self.broken.append(repr(error))

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()
        for each in self.kept:
            each.close()


def session(at: str) -> Client:
    """One that this server answers."""
    for _ in range(50):
        client = Client()
        if client.ask() == at:
            return client
        client.close()
    raise AssertionError(f"no session to {at}")
