"""Servers to talk to: an asyncssh server in this process, and the real sshd where there is one."""

import asyncio
import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh
import programs
import pytest

from quorate.core import TransportError
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.known import label
from quorate.transport.local import Child, spawn
from quorate.transport.ssh import SshTransport

SUDO = r"""#!/bin/sh
mode=$(cat "$FAKE_SUDO/mode")
how=$1; shift; [ "$1" = -- ] && shift
case $mode in
nopasswd) exec "$@" ;;
denied) echo "ops is not in the sudoers file." >&2; exit 1 ;;
tty) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1 ;;
password)
  if [ "$how" = -n ]; then echo "sudo: a password is required" >&2; exit 1; fi
  for i in 1 2 3; do
    printf %s "$SUDO_PROMPT" >&2
    IFS= read -r given || { echo "sudo: no password was provided" >&2; exit 1; }
    echo "$given" >>"$FAKE_SUDO/given"
    [ "$given" = right ] && exec "$@"
    echo "Sorry, try again." >&2
  done
  exit 1 ;;
esac
"""


class Dialer(asyncssh.SSHServer):
    """Lets in by key, or by the password `right`."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._server.passwords.append(password)
        return password == "right"

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


async def serve(watched: Child, process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Moves bytes both ways until the child has ended."""
    child = watched.process
    assert child.stdin
    assert child.stdout
    assert child.stderr
    stdin = child.stdin

    async def inward() -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            while data := await process.stdin.read(65536):
                stdin.write(data)
                await stdin.drain()
        stdin.close()

    async def outward(source: asyncio.StreamReader, sink: "asyncssh.SSHWriter[bytes]") -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

    feeding = asyncio.create_task(inward())
    telling = [
        asyncio.create_task(outward(child.stdout, process.stdout)),
        asyncio.create_task(outward(child.stderr, process.stderr)),
    ]
    try:
        await watched.exited.wait()
        await asyncio.wait(telling, timeout=2)
        code = child.returncode or 0
        with contextlib.suppress(OSError):
            process.exit(code if code >= 0 else 128 - code)
    finally:
        for task in (feeding, *telling):
            task.cancel()
        await asyncio.gather(feeding, *telling, return_exceptions=True)


@dataclass
class Server:
    """What a test may ask of the in-process server."""

    folder: Path
    port: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    most_allowed: int = 100
    noise: bytes = b""
    goes_down: bool = False
    """What begins is ended before it speaks."""
    acceptor: asyncssh.SSHAcceptor | None = None
    ssh: ResolvedSsh = None  # type: ignore[assignment]

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.goes_down:
                process.exit(143)
                return
            if self.noise:
                process.stdout.write(self.noise)
            env = {
                **os.environ,
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "FAKE_SUDO": str(self.folder),
            }
            child = await spawn(["/bin/sh", "-c", process.command or ""], env)
            try:
                await serve(child, process)
            finally:
                await child.end()
        finally:
            self.running -= 1


def keys(folder: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "id")
    asyncssh.read_private_key(folder / "id").write_public_key(folder / "id.pub")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "hostkey")
    (folder / "hostkey").chmod(0o600)


def settings(folder: Path, port: int) -> ResolvedSsh:
    public = asyncssh.read_private_key(folder / "hostkey").export_public_key().decode()
    known = folder / "known_hosts"
    known.write_text(f"{label('127.0.0.1', port)} {public}")
    return ResolvedSsh(
        address="127.0.0.1",
        user="root",
        port=port,
        key=folder / "id",
        password_file=None,
        sudo_password_file=None,
        ask_password=False,
        ask_sudo_password=False,
        known_hosts=known,
        jump=None,
        connect_timeout=10,
    )


async def listen(server: Server) -> None:
    server.acceptor = await asyncssh.listen(
        "127.0.0.1",
        server.port,
        server_factory=lambda: Dialer(server),
        server_host_keys=[server.folder / "hostkey"],
        authorized_client_keys=str(server.folder / "id.pub"),
        process_factory=server.handle,
        encoding=None,
        allow_pty=False,
        config=None,
    )
    server.port = server.acceptor.get_port()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    keys(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sudo").write_text(SUDO)
    (tmp_path / "bin/sudo").chmod(0o755)
    it = Server(tmp_path)
    await listen(it)
    it.ssh = settings(tmp_path, it.port)
    yield it
    assert it.acceptor is not None
    it.acceptor.close()
    for connection in it.connections:
        connection.abort()
    await it.acceptor.wait_closed()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResolvedSsh]:
    """The real sshd, as root, on a free port; ended by its pid."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    path, more = programs.find("sshd")
    folder = tmp_path_factory.mktemp("sshd")
    keys(folder)
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/hostkey\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/id.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nMaxSessions 10\n"
        "Subsystem sftp internal-sftp\n"
    )
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    argv = [path, "-D", "-e", "-f", str(folder / "config")]
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        passwd = Path("/etc/passwd").read_text() + "sshd:x:74:65534::/run/sshd:/usr/sbin/nologin\n"
        (folder / "passwd").write_text(passwd)
        pretend = f'mount --bind {folder}/passwd /etc/passwd && exec "$@"'
        argv = ["unshare", "-m", "sh", "-c", pretend, "sh", *argv]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log, env={**os.environ, **more})
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail((folder / "log").read_text())
        yield replace(settings(folder, port), connect_timeout=30)
    finally:
        process.terminate()
        process.wait()


async def refusal(door: SshTransport, script: str = "echo in") -> TransportError:
    """The error of a door that does not let a script in; it names the host and has a hint."""
    with pytest.raises(TransportError) as caught:
        await door.run("a", script)
    assert caught.value.host == "a"
    assert caught.value.hint
    return caught.value
