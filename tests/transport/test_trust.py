"""Host keys: unknown, changed, pinned; also those of jump hosts."""

import stat
from dataclasses import replace

import asyncssh
import pytest
from servers import Server, free_port, listen, refusal

from quorate.core import TransportError
from quorate.spec.cluster import Jump
from quorate.transport.ssh import SshTransport
from quorate.transport.trust import pin, scan


async def test_unknown_key(server: Server) -> None:
    (server.folder / "known_hosts").unlink()
    error = await refusal(SshTransport({"a": server.ssh}))
    assert "is not known (SHA256:" in str(error)
    assert "quorate trust" in error.hint
    assert not (server.folder / "known_hosts").exists()


async def test_changed_key(server: Server) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    known = server.folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {other.export_public_key().decode()}")
    error = await refusal(SshTransport({"a": server.ssh}))
    assert "HOST KEY CHANGED" in str(error)
    assert str(known) in str(error)
    assert other.get_fingerprint() in str(error)


async def test_changed_kind_of_key(server: Server) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    known = server.folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {other.export_public_key().decode()}")
    assert "pinned kind" in str(await refusal(SshTransport({"a": server.ssh})))


async def test_jump_host_is_unknown(server: Server) -> None:
    (server.folder / "known_hosts").unlink()
    ssh = replace(server.ssh, jump=Jump(host="127.0.0.1", port=server.port))
    with pytest.raises(TransportError, match=r"jump host 127\.0\.0\.1: host key"):
        await SshTransport({"a": ssh}).run("a", "true")


async def test_trust(server: Server) -> None:
    known = server.folder / "state" / "known_hosts"
    ssh = replace(server.ssh, known_hosts=known)
    gone = replace(ssh, port=free_port())
    keys, failures = await scan({"a": ssh, "gone": gone})
    assert [(key.host, key.state, key.algorithm) for key in keys] == [("a", "new", "ssh-ed25519")]
    assert [error.host for error in failures] == ["gone"]
    assert pin(known, keys) == keys
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    keys, _ = await scan({"a": ssh})
    assert keys[0].state == "same"
    assert pin(known, keys) == []
    door = SshTransport({"a": ssh})
    assert await door.run("a", "echo in") == "in\n"
    await door.close()


async def test_trust_of_a_changed_key(server: Server) -> None:
    known = server.folder / "known_hosts"
    assert server.acceptor is not None
    server.acceptor.close()
    await server.acceptor.wait_closed()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(server.folder / "hostkey")
    await listen(server)
    known.write_text(known.read_text() + "10.0.0.9 ssh-ed25519 AAAAC3Nza\n")
    keys, _ = await scan({"a": server.ssh})
    assert (keys[0].state, len(keys[0].pinned)) == ("changed", 1)
    with pytest.raises(TransportError, match="HOST KEY CHANGED"):
        pin(known, keys)
    pin(known, keys, replace_changed=True)
    assert known.read_text().splitlines() == ["10.0.0.9 ssh-ed25519 AAAAC3Nza", keys[0].line]
    door = SshTransport({"a": server.ssh})
    assert await door.run("a", "echo in") == "in\n"
    await door.close()


async def test_trust_through_an_unknown_jump_host(server: Server) -> None:
    known = server.folder / "new"
    ssh = replace(server.ssh, known_hosts=known, jump=Jump(host="127.0.0.1", port=server.port))
    keys, failures = await scan({"a": ssh})
    assert ([key.host for key in keys], failures) == (["jump host 127.0.0.1", "a"], [])
    pin(known, keys)
    door = SshTransport({"a": ssh})
    assert await door.run("a", "echo in") == "in\n"
    await door.close()
