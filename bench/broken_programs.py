"""Programs that pass for a release and do not do its work, in folders as the artifact source `directory` has them."""

import hashlib
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from quorate.artifact.golang import toolchain
from quorate.artifact.sums import SUMS, read_sums

SOURCE = Path(__file__).with_name("broken_program.go")
ARM64 = 183
"""e_machine of the ELF header, at its 18th byte."""


@dataclass(frozen=True)
class Programs:
    """A folder of good programs of several versions, and copies of it in which one program is not."""

    good: Path

    def broken(self, place: str, how: str) -> Path:
        """A copy in which the program at `place` (kubernetes-1.37.2/kubelet) is broken in a way that main.how of
        broken_program.go names; or it is "truncated", or for the "wrong architecture".
        """
        folder = self.good.with_name(f"{place.replace('/', '-')}-{how.replace(' ', '-')}")
        if not folder.exists():
            shutil.copytree(self.good, folder, copy_function=os.link)
            _put(folder / place, _content((self.good / place).read_bytes(), how, folder.with_suffix(".part")))
        return folder


def _content(real: bytes, how: str, scratch: Path) -> bytes:
    if how == "truncated":
        return real[: len(real) // 2]
    if how == "wrong architecture":
        return real[:18] + struct.pack("<H", ARM64) + real[20:]
    go = toolchain.find(SOURCE.parent)
    words = [go.path, "build", "-trimpath", "-ldflags", f"-s -w -buildid= -X 'main.how={how}'", "-o", str(scratch)]
    subprocess.run([*words, str(SOURCE)], env=toolchain.environment(), check=True)
    before = scratch.read_bytes()
    scratch.unlink()
    return before + real + struct.pack("<Q", len(real))


def _put(program: Path, content: bytes) -> None:
    """Another content, and its line in the sums; what is linked from elsewhere stays what it was."""
    sums = {**read_sums(program.parent), program.name: hashlib.sha256(content).hexdigest()}
    program.unlink()
    program.write_bytes(content)
    program.chmod(0o755)
    told = program.with_name(SUMS)
    told.unlink()
    told.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
