"""A cluster of the minor before, upgraded while a client asks and writes."""

import re
import time
from pathlib import Path

from deployed import Deployed
from losses import PASSPHRASE
from rest import rested
from stand import Stand
from upgrades import VOID_S, stepped, vip_moves, waited

from quorate.artifact.golang import locks
from quorate.spec.versions import parts


def minor_before(version: str) -> str:
    """The latest patch that is built here of the minor before."""
    major, minor, *_ = parts(version)
    return max((each for each in locks.kubernetes(None) if parts(each)[:2] == (major, minor - 1)), key=parts)


def while_it_is_used(deployed: Deployed, folder: Path) -> None:
    """Built anew at the minor before, then upgraded: nothing acknowledged is lost, nobody is refused or cut off,
    and a verify proves it.
    """
    newest, text = deployed.cluster.versions.kubernetes, deployed.file.read_text()
    deployed.quorate("destroy", "--yes", deployed.cluster.name)
    deployed.file.write_text(re.sub(r'kubernetes: ".*"', f'kubernetes: "{minor_before(newest)}"', text))
    deployed.quorate("artifacts", limit=3600)
    file = folder / "passphrase"
    file.touch(mode=0o600)
    file.write_text(f"{PASSPHRASE}\n")
    deployed.quorate("passphrase", "--from", str(file))
    deployed.quorate("apply", "--yes")
    # An upgrade is refused as long as an aggregated API is not there: metrics come some seconds after their pods.
    deployed.quorate("verify")
    rested()
    began = int(time.time())
    found = stepped(Stand("test", deployed.file), newest)
    assert (found["lost"], found["undone"]) == (0, 0)
    assert found["acknowledged"] > 0
    # Nobody has to wait either, but two cores for all hosts and clients are no proof of that; where the client itself
    # stands still, or the virtual IP moves because balancers are not heard in time, it is none of anything.
    moved = vip_moves(deployed.run, deployed.cluster, began)
    cut = [word for each in found["streams"].values() for word in each["failed"] if not waited(word)]
    assert moved or found["own_pause"] > VOID_S or not cut, found["streams"]
    assert deployed.file.read_text() == text
    deployed.quorate("plan", code=0)
