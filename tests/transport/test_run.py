"""What a run does, on every kind of door: here, in-process server, real sshd."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from servers import Server

from quorate.core import ArtifactError, Blob, CommandFailed, ReadsBytes, Transport
from quorate.spec.ssh import ResolvedSsh
from quorate.transport.local import LocalTransport
from quorate.transport.ssh import SshTransport


@pytest.fixture(params=["local", "server", "sshd"])
async def door(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Transport]:
    transport: Transport
    if request.param == "local":
        transport = LocalTransport()
    elif request.param == "server":
        transport = SshTransport({"a": server.ssh})
    else:
        transport = SshTransport({"a": request.getfixturevalue("sshd")})
    yield transport
    await transport.close()


def blob(path: Path, size: int) -> Blob:
    path.write_bytes(os.urandom(size))
    return Blob(path, "", size)


async def test_world_of_a_script(door: Transport) -> None:
    out = await door.run("a", 'umask; pwd; echo "$LC_ALL $HOME"; cat; command -v sysctl || echo "$PATH"')
    assert out.splitlines()[:3] == ["0077", "/", "C /root"]
    assert "/usr/sbin" in out


async def test_failure_carries_the_evidence(door: Transport) -> None:
    with pytest.raises(CommandFailed) as caught:
        await door.run("a", "echo out; echo err >&2; exit 3")
    error = caught.value
    assert (error.host, error.code, error.stdout, error.stderr) == ("a", 3, "out\n", "err\n")


async def test_failure_keeps_only_the_end(door: Transport) -> None:
    with pytest.raises(CommandFailed) as caught:
        await door.run("a", "seq 200000; seq 200000 >&2; exit 1")
    assert len(caught.value.stdout) == len(caught.value.stderr) == 64 * 1024
    assert caught.value.stdout.endswith("200000\n")


@pytest.mark.parametrize("script", ["", "\n\n", "# nothing", "true \\", "cat <<EOF\nEOF"])
async def test_odd_scripts(door: Transport, script: str) -> None:
    assert await door.run("a", script) == ""


async def test_heredoc_quotes_and_the_exit_code_of_the_last_command(door: Transport) -> None:
    hostile = "$(id) `id` ' \" \\ ! % é \t"
    assert await door.run("a", f"cat <<'EOF'\n{hostile}\nEOF") == hostile + "\n"
    with pytest.raises(CommandFailed):
        await door.run("a", "false")


async def test_nul_is_refused(door: Transport) -> None:
    with pytest.raises(ValueError, match="NUL"):
        await door.run("a", "echo \0")


async def test_output_is_binary_safe(door: Transport) -> None:
    out = await door.run("a", r"printf '\377\000\001\r\n\303'")
    assert out.encode("utf-8", "surrogateescape") == b"\xff\x00\x01\r\n\xc3"
    assert isinstance(door, ReadsBytes)
    assert await door.read("a", r"printf '\377\000\001\r\n\303'") == b"\xff\x00\x01\r\n\xc3"
    with pytest.raises(CommandFailed):
        await door.read("a", "false")


async def test_large_output(door: Transport) -> None:
    out = await door.run("a", "head -c 20000000 /dev/zero | tr '\\0' x")
    assert len(out) == 20_000_000


async def test_five_megabytes_of_script(door: Transport) -> None:
    line = "x" * 79 + "\n"
    script = "sha256sum <<'EOF'\n" + line * 65536 + "EOF\necho end"
    out = await door.run("a", script)
    assert out == f"{hashlib.sha256(line.encode() * 65536).hexdigest()}  -\nend\n"


async def test_many_lines(door: Transport) -> None:
    assert await door.run("a", "n=0\n" + "n=$((n+1))\n" * 50000 + "echo $n") == "50000\n"


async def test_commands_do_not_eat_the_script(door: Transport) -> None:
    assert await door.run("a", "cat; read x || true; echo still here") == "still here\n"


async def test_blob_arrives_intact(door: Transport, tmp_path: Path) -> None:
    it = blob(tmp_path / "blob", 50 * 2**20)
    out = await door.run("a", "sha256sum | cut -c1-64", blob=it)
    assert out.strip() == hashlib.sha256(it.path.read_bytes()).hexdigest()


async def test_blob_is_not_read_to_the_end(door: Transport, tmp_path: Path) -> None:
    it = blob(tmp_path / "blob", 20 * 2**20)
    with pytest.raises(CommandFailed) as caught:
        await door.run("a", "head -c 10 >/dev/null; exit 4", blob=it)
    assert caught.value.code == 4


async def test_blob_is_gone(door: Transport, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        await door.run("a", "cat >/dev/null", blob=Blob(tmp_path / "none", "", 1))


async def test_lines_come_in_order_and_at_once(door: Transport) -> None:
    seen: list[tuple[str, float]] = []
    clock = asyncio.get_running_loop().time
    out = await door.run(
        "a", "echo one; sleep 0.5; printf 'two\\nthr'; echo ee; printf end", on_line=lambda s: seen.append((s, clock()))
    )
    assert [line for line, _ in seen] == ["one", "two", "three", "end"]
    assert seen[1][1] - seen[0][1] > 0.3
    assert out == "one\ntwo\nthree\nend"


async def test_listener_that_breaks(door: Transport) -> None:
    def listener(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="one"):
        await door.run("a", "echo one; echo two", on_line=listener)


async def test_timeout_ends_what_runs(door: Transport) -> None:
    nap = f"3{os.getpid()}.25"
    with pytest.raises(CommandFailed) as caught:
        await door.run("a", f"echo before; sleep {nap} & sleep {nap}", timeout=0.5)
    assert caught.value.code == 124
    assert caught.value.stdout == "before\n"
    await asyncio.sleep(0.3)
    assert not running(nap)


async def test_cancel_ends_what_runs(door: Transport) -> None:
    nap = f"4{os.getpid()}.25"
    started = asyncio.Event()
    task = asyncio.create_task(door.run("a", f"echo go; sleep {nap}", on_line=lambda _: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.3)
    assert not running(nap)


async def test_child_that_keeps_stdout_does_not_keep_us(door: Transport) -> None:
    nap = f"8.{os.getpid()}"
    async with asyncio.timeout(6):
        assert await door.run("a", f"sleep {nap} & echo done") == "done\n"


async def test_script_is_in_no_argv(door: Transport) -> None:
    secret = "s3cr3t-" + os.urandom(8).hex()
    task = asyncio.create_task(door.run("a", f"token={secret}; sleep 0.7; echo ${{#token}}; : {secret}"))
    while not task.done():
        assert not running(secret)
        await asyncio.sleep(0.05)
    assert await task == f"{len(secret)}\n"


def running(text: str) -> bool:
    """Whether the text is in the argv or environment of any process."""
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            try:
                if text.encode() in path.read_bytes():
                    return True
            except OSError:
                continue
    return False


async def test_prefix() -> None:
    door = LocalTransport({"a": ("env", "WHO=a")})
    assert await door.run("a", "echo $WHO") == "a\n"
    assert await door.run("b", "echo $WHO") == "\n"


async def test_at_most_eight_sessions(server: Server) -> None:
    door = SshTransport({"a": server.ssh})
    await asyncio.gather(*(door.run("a", "sleep 0.05") for _ in range(30)))
    assert server.most == 8
    assert len(server.connections) == 1
    await door.close()


async def test_many_at_once_on_real_sshd(sshd: ResolvedSsh) -> None:
    door = SshTransport({"a": sshd})
    out = await asyncio.gather(*(door.run("a", f"echo {i}") for i in range(24)))
    assert out == [f"{i}\n" for i in range(24)]
    await door.close()
