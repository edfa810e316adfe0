import asyncio, time
from dataclasses import replace
import pytest
from quorate.transport.ssh import SshTransport
from test_logins import *
from test_logins import site

async def test_x(site):
    for port, n in ((ONE, 3), (FEW, 6), (ONE, 1)):
        door = SshTransport({"a": site.ssh(port=port)}, sessions=n)
        t=time.monotonic()
        print(port, await asyncio.gather(*(door.run("a", "echo $SSH_CONNECTION; sleep 1") for _ in range(n)), return_exceptions=True), time.monotonic()-t, door._links["a"].slots.limit)
        t=time.monotonic()
        print(await asyncio.gather(*(door.run("a", "sleep 77.7", timeout=1) for _ in range(n)), return_exceptions=True), time.monotonic()-t)
        print(await once(site.ssh(), "pgrep -af 'sleep 77' || :; sshd -T -C user=root,host=x,addr=1.2.3.4,laddr=1.1.1.1,lport=%d | grep -i maxsess" % port), door._links["a"].slots.limit)
        await door.close()
