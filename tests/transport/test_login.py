"""Getting in: passwords, sudo, jump hosts, lost connections, and what is said when it does not work."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from servers import Server, free_port, keys, listen, refusal, settings

from quorate.core import Blob, LocalError, TransportError
from quorate.spec.cluster import Jump
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.password import Prompt, stored
from quorate.transport.ssh import SshTransport


class Answers(Prompt):
    """Answers from a table instead of the terminal."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answer = answer

    def read(self, question: str) -> str:
        self.asked.append(question)
        return self.answer


async def mistake(door: SshTransport) -> str:
    """What is said of a mistake on this machine: the same of every host, with a hint."""
    said = await asyncio.gather(*(door.run(host, "echo in") for host in (*door._targets, "a")), return_exceptions=True)
    await door.close()
    assert {type(each) for each in said} == {LocalError}
    assert len({str(each) for each in said}) == 1
    assert isinstance(said[0], LocalError)
    assert said[0].hint
    return str(said[0])


def secret_file(folder: Path, text: str) -> Path:
    path = folder / "password"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


async def test_refused_port(server: Server) -> None:
    ssh = replace(server.ssh, port=free_port())
    assert "refuses connections" in str(await refusal(SshTransport({"a": ssh})))


async def test_no_answer(server: Server) -> None:
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    ssh = replace(server.ssh, port=silent.sockets[0].getsockname()[1], connect_timeout=0.3)
    assert "within 0.3 s" in str(await refusal(SshTransport({"a": ssh})))
    for writer in callers:
        writer.close()
        await writer.wait_closed()
    silent.close()
    await silent.wait_closed()


async def test_unknown_name(server: Server) -> None:
    ssh = replace(server.ssh, address="nowhere.invalid")
    assert "not a known name" in str(await refusal(SshTransport({"a": ssh})))


async def test_wrong_key_and_no_second_try(server: Server) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(server.folder / "other")
    door = SshTransport({"a": replace(server.ssh, key=server.folder / "other")})
    for _ in range(3):
        assert "was refused" in str(await refusal(door))
    assert len(server.connections) == 1


async def test_missing_key(server: Server) -> None:
    assert "ssh.key: " in (said := await mistake(SshTransport({"a": replace(server.ssh, key=server.folder / "none")})))
    assert "No such file" in said


async def test_key_with_passphrase_is_asked_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = asyncssh.read_private_key(server.folder / "id")
    key.write_private_key(server.folder / "locked", "pkcs8-pem", passphrase="open")
    ssh = replace(server.ssh, key=server.folder / "locked")
    prompt = Answers("open")
    door = SshTransport({"a": ssh, "b": ssh}, prompt=prompt)
    assert await asyncio.gather(door.run("a", "echo a"), door.run("b", "echo b")) == ["a\n", "b\n"]
    assert len(prompt.asked) == 1
    await door.close()
    said = await mistake(SshTransport({"a": ssh}, prompt=Answers("shut")))
    assert said == f"ssh.key: {server.folder / 'locked'}: wrong passphrase"


async def test_all_that_is_wrong_here_is_said_once_before_any_host_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUORATE_NOT_SET", raising=False)
    unset = replace(server.ssh, key=None, password_file=Path("env:QUORATE_NOT_SET"))
    hosts = {f"m{number}": replace(unset, address=f"127.0.0.{number}") for number in range(1, 4)}
    broken = server.folder / "broken"
    broken.write_bytes(b"\xff\xff\n")
    door = SshTransport({"a": server.ssh, **hosts, "b": replace(server.ssh, known_hosts=broken)})
    said = await mistake(door)
    assert said.splitlines()[0] == "2 mistakes on this machine; no host was asked"
    assert said.count("ssh.password_file: variable QUORATE_NOT_SET is not set") == 1
    assert said.count(str(broken)) == 1
    assert server.connections == []


async def test_password(server: Server) -> None:
    path = secret_file(server.folder, "right")
    door = SshTransport({"a": replace(server.ssh, key=None, password_file=path)})
    assert await door.run("a", "echo in") == "in\n"
    await door.close()


async def test_wrong_password_is_tried_once(server: Server) -> None:
    door = SshTransport({"a": replace(server.ssh, key=None, ask_password=True)}, prompt=Answers("wr0ng-secret"))
    for _ in range(2):
        error = await refusal(door)
        assert "wr0ng" not in f"{error!r} {error.hint} {error.__cause__!r}"
    assert server.passwords == ["wr0ng-secret"]


def test_password_file_must_be_private(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "x")
    assert stored(path) == "x"
    path.chmod(0o640)
    with pytest.raises(LocalError, match="mode 0640"):
        stored(path)


def test_password_variable_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUORATE_TEST_PASSWORD", "x")
    assert stored(Path("env:QUORATE_TEST_PASSWORD")) == "x"
    monkeypatch.undo()
    assert stored(Path("env:QUORATE_TEST_PASSWORD")) == "x"


async def test_no_prompt_with_json(server: Server) -> None:
    ssh = replace(server.ssh, key=None, ask_password=True)
    assert "no terminal" in await mistake(SshTransport({"a": ssh}, prompt=Prompt(allowed=False)))


def as_ops(server: Server, mode: str) -> ResolvedSsh:
    (server.folder / "mode").write_text(mode)
    return replace(server.ssh, user="ops")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("denied", "may not use sudo"),
        ("tty", "requiretty"),
        ("password", "asks for a password"),
        ("", "no POSIX shell"),
    ],
)
async def test_sudo_refuses(server: Server, mode: str, said: str) -> None:
    assert said in str(await refusal(SshTransport({"a": as_ops(server, mode)})))


async def test_sudo_without_password(server: Server) -> None:
    door = SshTransport({"a": as_ops(server, "nopasswd")})
    assert await door.run("a", "echo in; cat") == "in\n"
    await door.close()


@pytest.mark.parametrize("mode", ["nopasswd", "password"])
async def test_sudo_with_password(server: Server, mode: str, tmp_path: Path) -> None:
    ssh = replace(as_ops(server, mode), sudo_password_file=secret_file(server.folder, "right"))
    (tmp_path / "blob").write_bytes(b"content")
    door = SshTransport({"a": ssh})
    assert await door.run("a", "echo in; cat", blob=Blob(tmp_path / "blob", "", 7)) == "in\ncontent"
    await door.close()


async def test_wrong_sudo_password_is_tried_once(server: Server) -> None:
    ssh = replace(as_ops(server, "password"), ask_sudo_password=True)
    door = SshTransport({"a": ssh}, prompt=Answers("wr0ng-secret"))
    for _ in range(2):
        error = await refusal(door, "echo a-line-of-the-script")
        assert "wrong sudo password" in str(error)
        assert "wr0ng" not in f"{error!r} {error.hint}"
    assert (server.folder / "given").read_text() == "wr0ng-secret\n"
    await door.close()


async def test_wrong_sudo_password_is_tried_once_by_many(server: Server) -> None:
    ssh = replace(as_ops(server, "password"), sudo_password_file=secret_file(server.folder, "wr0ng"))
    door = SshTransport({"a": ssh})
    found = await asyncio.gather(*(door.run("a", "echo in") for _ in range(4)), return_exceptions=True)
    assert [str(each) for each in found] == ["a: wrong sudo password for ops"] * 4
    assert (server.folder / "given").read_text() == "wr0ng\n"
    await door.close()


async def test_noise_of_login_scripts_is_not_output(server: Server) -> None:
    server.noise = b"Welcome!\nquorate-gone\n"
    door = SshTransport({"a": server.ssh})
    assert await door.run("a", "echo in") == "in\n"
    await door.close()


async def test_lost_in_the_middle_then_again(server: Server) -> None:
    door = SshTransport({"a": server.ssh})
    started = asyncio.Event()
    task: Awaitable[str] = asyncio.create_task(door.run("a", "echo go; sleep 5", on_line=lambda _: started.set()))
    await started.wait()
    server.connections[0].abort()
    with pytest.raises(TransportError, match="connection lost") as caught:
        await task
    assert caught.value.host == "a"
    assert await door.run("a", "echo again") == "again\n"
    assert len(server.connections) == 2
    await door.close()


async def test_idle_connection_was_lost(server: Server) -> None:
    door = SshTransport({"a": server.ssh})
    await door.run("a", "true")
    server.connections[0].abort()
    assert await asyncio.gather(*(door.run("a", "echo again") for _ in range(4))) == ["again\n"] * 4
    await door.close()


async def test_host_that_allows_fewer_sessions(sshd: ResolvedSsh) -> None:
    """MaxSessions (10) below our own limit slows us down, but fails nothing."""
    door = SshTransport({"a": sshd}, sessions=14)
    assert len(await asyncio.gather(*(door.run("a", "sleep 0.3") for _ in range(20)))) == 20
    await door.close()


async def test_jump_host(server: Server) -> None:
    jump = Jump(host="127.0.0.1", port=server.port, user="root")
    ssh = replace(server.ssh, jump=jump)
    door = SshTransport({"a": ssh, "b": ssh, "c": ssh})
    assert await asyncio.gather(*(door.run(h, f"echo {h}") for h in "abc")) == ["a\n", "b\n", "c\n"]
    assert len(server.connections) == 4
    await door.close()
    door = SshTransport({"a": replace(ssh, port=free_port())})
    (server.folder / "known_hosts").write_text(
        (server.folder / "known_hosts").read_text().replace("[127.0.0.1]", "127.0.0.1,[127.0.0.1]")
    )
    assert "jump host can't reach" in str(await refusal(door))
    await door.close()


async def test_a_jump_host_with_a_key_of_its_own_is_offered_no_other(server: Server, tmp_path: Path) -> None:
    """The bastion knows one key, the host behind it another: each is offered its own alone."""
    folder = tmp_path / "bastion"
    folder.mkdir()
    keys(folder)
    bastion = Server(folder)
    await listen(bastion)
    pins = settings(folder, bastion.port).known_hosts
    assert pins is not None
    assert server.ssh.known_hosts is not None
    with server.ssh.known_hosts.open("a") as known:
        known.write(pins.read_text())
    jump = Jump(host="127.0.0.1", port=bastion.port, user="ops", key=folder / "id")
    door = SshTransport({"a": replace(server.ssh, jump=jump)})
    try:
        assert await door.run("a", "echo a") == "a\n"
        assert (len(bastion.connections), len(server.connections)) == (1, 1)
    finally:
        await door.close()
    door = SshTransport({"a": replace(server.ssh, jump=jump.model_copy(update={"key": server.folder / "id"}))})
    with pytest.raises(TransportError, match=r"jump host 127\.0\.0\.1: ops was refused") as caught:
        await door.run("a", "echo a")
    assert f"Tried key {server.folder / 'id'}, once. Check ssh.jump.user, ssh.jump.key" in caught.value.hint
    await door.close()
    assert bastion.acceptor is not None
    bastion.acceptor.close()
    for connection in bastion.connections:
        connection.abort()
    await bastion.acceptor.wait_closed()


async def test_what_a_jump_host_wants_is_asked_for_before_any_host(server: Server, tmp_path: Path) -> None:
    jump = Jump(host="127.0.0.1", port=server.port, key=tmp_path / "gone")
    door = SshTransport({name: replace(server.ssh, jump=jump) for name in "ab"})
    with pytest.raises(LocalError, match=r"ssh\.jump\.key: .*/gone: No such file"):
        await door.run("a", "echo a")
    assert not server.connections
    await door.close()
    asking = SshTransport(
        {"a": replace(server.ssh, jump=jump.model_copy(update={"key": None, "ask_password": True}))},
        prompt=(answers := Answers("x")),
    )
    with pytest.raises(TransportError, match="was refused"):
        await asking.run("a", "echo a")
    assert answers.asked == ["SSH password of root (ssh.jump)"]
    await asking.close()
