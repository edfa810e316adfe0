"""Installs that were cut off, with the real dpkg in a root of its own."""

import shutil
from pathlib import Path

import pytest
from own_packages import BARE, made, resource
from own_root import OURS, Root

from quorate.core import CommandFailed

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root", (*OURS, "var/lib/dpkg"))


@pytest.mark.parametrize("cut", ["--unpack", "--unpack first", "unpacked, journal", "nothing"])
async def test_an_install_that_was_cut_off_is_ended(root: Root, tmp_path: Path, cut: str) -> None:
    """dpkg passes over a package of the same version, also when it is only unpacked."""
    files = [made(tmp_path, "q-one"), made(tmp_path, "q-two", "q-one")]
    debs = [tmp_path / file.filename for file in files]
    await root.via.run("h", BARE)
    own = made(tmp_path, "q-own")
    await root.via.run("h", f"dpkg -i '{tmp_path / own.filename}'")
    if cut != "nothing":
        await root.via.run("h", "printf 'q-one\\nq-two\\n' >/var/lib/quorate/packages")
        # As libc-bin, whenever a library has come.
        await root.via.run(
            "h", "sed -i 's/ ok installed$/ ok triggers-pending\\nTriggers-Pending: x/' /var/lib/dpkg/status"
        )
        left = debs[1:] if cut == "--unpack first" else debs
        await root.via.run("h", "dpkg --unpack --force-depends " + " ".join(f"'{deb}'" for deb in left))
    if cut == "unpacked, journal":
        # Killed before it could merge what it had noted.
        status = "sed -n '/^Package: q-two/,$p' status | sed 's/ unpacked/ half-configured/' >updates/0000"
        await root.via.run("h", f"cd /var/lib/dpkg; {status}")
    await root.settles(resource(files))
    noted = await root.via.run("h", "sort -u /var/lib/quorate/packages")
    assert noted.split() == ["q-one", "q-two"], "the host's own stay, also when a trigger of theirs was pending"
    await root.remove(resource(files))
    assert await root.via.run("h", "dpkg-query -W -f '${Package} ${db:Status-Status}\\n'") == "q-own installed\n"
    assert set(root.tree()) == {"q-own"}


async def test_an_install_that_fails_is_told(root: Root, tmp_path: Path) -> None:
    files = [made(tmp_path, "q-two", "q-missing")]
    await root.via.run("h", BARE)
    with pytest.raises(CommandFailed) as caught:
        await root.converge(resource(files))
    assert "q-missing" in caught.value.stderr
    noted = await root.via.run("h", "cat /var/lib/quorate/packages")
    assert noted.split() == ["q-two"], "before it comes, so that it leaves with us whatever happens"
