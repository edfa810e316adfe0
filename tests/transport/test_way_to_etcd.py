"""The way to etcd with a real haproxy: members that fall silent, end, lose their leader or are somebody else's."""

import getpass
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import programs
import pytest
from waiting import within

from quorate.pki.keyring import Keyring
from quorate.render import etcd_way
from quorate.spec.cluster import Cluster, Host, Role
from quorate.spec.secrets import Secrets

MEMBERS = {"e1": "127.0.9.1", "e2": "127.0.9.2", "e3": "127.0.9.3"}
SETTLED = 3.0
"""Seconds: a haproxy that has just started believes the first bad answer, until it has had two good ones."""


def secrets() -> Secrets:
    hosts = [Host(name=name, address=IPv4Address(ip), roles=(Role.ETCD,)) for name, ip in MEMBERS.items()]
    master = Host(name="m", address=IPv4Address("127.0.9.9"), roles=(Role.CONTROL_PLANE,))
    return Keyring(Cluster(name="c", hosts=(*hosts, master)), {}, datetime.now(UTC), lambda id: id).complete()


def free(address: str) -> int:
    with socket.create_server((address, 0)) as found:
        return int(found.getsockname()[1])


SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
"""HTTP/2: an empty frame of settings (RFC 9113, 6.5)."""


class Way:
    """haproxy and three members on loopback."""

    def __init__(self, folder: Path, stack: ExitStack, stranger: str = "", own: str | None = None) -> None:
        self.folder, self.stack = folder, stack
        self.port, self.state, self.member_port = free("127.0.0.1"), free("127.0.0.1"), free("127.0.9.1")
        pems, others = secrets(), secrets() if stranger else None
        self.members: dict[str, subprocess.Popen[bytes]] = {}
        for name in MEMBERS:
            mine = others if name == stranger and others else pems
            (folder / name).mkdir()
            (folder / name / "ca.crt").write_bytes(pems.cert("etcd-ca"))
            (folder / name / "server.crt").write_bytes(mine.cert("etcd-server", name))
            (folder / name / "server.key").write_bytes(mine.key("etcd-server", name))
            self.start(name)
        (folder / "ca.crt").write_bytes(pems.cert("etcd-ca"))
        (folder / "client.crt").write_bytes(pems.cert("apiserver-etcd-client", "m"))
        (folder / "client.key").write_bytes(pems.key("apiserver-etcd-client", "m"))
        (folder / "room.crt").write_bytes(pems.cert("etcd-way", "m"))
        (folder / "room.key").write_bytes(pems.key("etcd-way", "m"))
        self.tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self.tls.load_cert_chain(folder / "client.crt", folder / "client.key")
        assert within(5, lambda: all(self.reached(name) for name in MEMBERS))
        text = etcd_way.config(
            port=self.port,
            state_port=self.state,
            room_port=free("127.0.0.1"),
            members=MEMBERS,
            own=own,
            member_port=self.member_port,
            ca_file=str(folder / "ca.crt"),
            client_crt=str(folder / "client.crt"),
            room_crt=str(folder / "room.crt"),
            pace_ms=250,
            patience=3,
            stats_socket=str(folder / "sock"),
            user=getpass.getuser(),
        )
        (folder / "haproxy.cfg").write_text(text)
        haproxy, more = programs.find("haproxy")
        self.run("haproxy", haproxy, "-db", "-f", str(folder / "haproxy.cfg"), env={**os.environ, **more})
        assert within(5, lambda: self.says("") == 200)

    def run(self, name: str, *argv: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, env=env)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def start(self, name: str) -> None:
        program = Path(__file__).with_name("etcd_member.py")
        argv = [sys.executable, str(program), MEMBERS[name], str(self.member_port), str(self.folder / name)]
        self.members[name] = self.run(name, *argv)

    def reached(self, name: str) -> bool:
        with suppress(OSError), socket.create_connection((MEMBERS[name], self.member_port), 1):
            return True
        return False

    def says(self, name: str) -> int:
        """What the way says of a member, or of itself."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.state}/{name}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def session(self) -> tuple[str, ssl.SSLSocket]:
        """A connection as an API server has it, and the member that it leads to."""
        plain = socket.create_connection(("127.0.0.1", self.port), 3)
        tls = self.stack.enter_context(self.tls.wrap_socket(plain, server_hostname="127.0.0.1"))
        tls.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"127.0.9." not in answer:
            answer += tls.recv(4096)
        at = answer.decode().rpartition("\r\n")[2]
        return next(name for name, ip in MEMBERS.items() if ip == at), tls

    def sessions(self) -> dict[str, list[ssl.SSLSocket]]:
        found: dict[str, list[ssl.SSLSocket]] = {}
        for _ in range(6):
            name, tls = self.session()
            found.setdefault(name, []).append(tls)
        return found

    def waiting(self) -> ssl.SSLSocket:
        """A connection that counts for grpc: TLS, and HTTP/2's settings from the other side; within grpc's 20 s."""
        plain = socket.create_connection(("127.0.0.1", self.port), 20)
        with_h2 = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        with_h2.load_cert_chain(self.folder / "client.crt", self.folder / "client.key")
        with_h2.set_alpn_protocols(["h2"])
        tls = self.stack.enter_context(with_h2.wrap_socket(plain, server_hostname="127.0.0.1"))
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
        assert tls.recv(9)[3:5] == SETTINGS[3:5]
        return tls

    def end(self, *names: str) -> None:
        for name in names:
            self.members[name].kill()
            self.members[name].wait()

    def sick(self, *names: str) -> None:
        for name in MEMBERS:
            mark = self.folder / name / "sick"
            mark.touch() if name in names else mark.unlink(missing_ok=True)


def cut(tls: ssl.SSLSocket, seconds: float) -> float | None:
    """After how long the session was cut; None when it was not."""
    began = time.monotonic()
    tls.settimeout(seconds)
    try:
        while tls.recv(4096):
            pass
    except TimeoutError:
        return None
    except OSError:
        pass
    return time.monotonic() - began


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_a_silent_member_is_found_and_its_sessions_are_cut(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack)
    sessions = way.sessions()
    assert {name: len(each) for name, each in sessions.items()} == dict.fromkeys(MEMBERS, 2), "each has as many"
    time.sleep(SETTLED)
    way.members["e1"].send_signal(signal.SIGSTOP)
    first, second = sessions["e1"]
    took = cut(first, 5)
    assert took is not None
    # Found in 1.1 s; the rest is for a busy machine.
    assert 0.5 < took < 2.5
    assert cut(second, 0.5) is not None
    assert [cut(each, 0.1) for name in ("e2", "e3") for each in sessions[name]] == [None] * 4
    assert "e1" not in way.sessions()
    way.members["e1"].send_signal(signal.SIGCONT)
    assert within(5, lambda: way.says("e1") == 200)
    # The sessions follow within 0.1 s.
    time.sleep(0.3)
    assert way.session()[0] == "e1", "the emptiest one is next"


def test_an_election_cuts_nothing_a_member_left_behind_is_cut(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack)
    sessions = way.sessions()
    time.sleep(SETTLED)
    way.sick(*MEMBERS)
    time.sleep(1.5)
    way.sick("e2")
    assert [cut(each, 0.3) for each in (*sessions["e1"], *sessions["e3"])] == [None] * 4
    took = cut(sessions["e2"][0], 6)
    assert took is not None
    assert [cut(each, 0.1) for each in (*sessions["e1"], *sessions["e3"])] == [None] * 4
    assert (way.says("e2"), way.says("")) == (503, 200)
    assert "e2" not in way.sessions()


def test_when_nobody_is_healthy_all_are_tried(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack)
    way.sick(*MEMBERS)
    assert within(8, lambda: way.says("") == 503)
    assert way.session()[0] in MEMBERS
    way.sick()
    assert within(4, lambda: way.says("") == 200)


def test_a_member_that_ended_is_passed_by_at_once(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack)
    way.end("e3")
    assert "e3" not in way.sessions()


def test_its_own_member_has_the_sessions_and_gets_them_back(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack, own="e2")
    assert set(way.sessions()) == {"e2"}
    time.sleep(SETTLED)
    way.end("e2")
    assert within(5, lambda: way.says("e2") == 503)
    assert set(way.sessions()) == {"e1"}
    _, elsewhere = way.session()
    way.start("e2")
    assert cut(elsewhere, 5) is not None
    assert set(way.sessions()) == {"e2"}


@pytest.mark.parametrize("own", ["e2", None])
def test_while_no_member_is_there_connections_wait_and_do_not_fail(
    tmp_path: Path, stack: ExitStack, own: str | None
) -> None:
    way = Way(tmp_path, stack, own=own)
    time.sleep(SETTLED)
    way.end(*MEMBERS)
    assert within(5, lambda: way.says(etcd_way.ROOM) == 200)
    # The connections follow within 0.1 s.
    time.sleep(0.3)
    assert way.says("") == 503
    waiting = [way.waiting() for _ in range(4)]
    assert [cut(each, 0.5) for each in waiting] == [None] * 4
    # Any member will do, also one that is not its own.
    way.start("e3")
    assert None not in [cut(each, 5) for each in waiting]
    assert way.session()[0] == "e3"
    assert within(5, lambda: way.says("") == 200)


def test_the_waiting_room_is_for_those_who_have_a_certificate(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack)
    way.end(*MEMBERS)
    assert within(5, lambda: way.says(etcd_way.ROOM) == 200)
    time.sleep(0.3)
    way.tls = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    with pytest.raises(OSError, match="certificate required"):
        way.session()


def test_a_stranger_with_a_members_name_is_passed_by(tmp_path: Path, stack: ExitStack) -> None:
    way = Way(tmp_path, stack, stranger="e2")
    assert within(5, lambda: way.says("e2") == 503)
    # The sessions follow within 0.1 s.
    time.sleep(0.3)
    assert set(way.sessions()) == {"e1", "e3"}
