"""A bare Debian as a directory: what the lab's hosts run on and where sources are built.

The package mirror, its keys, proxy and certificate authorities are those of this machine, read at run time.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from quorate.artifact.apt import Source, parse_deb822, parse_list
from quorate.core import ArtifactError
from quorate.render import debian

SUITE = "bookworm"
_NAMES = """
systemd systemd-sysv dbus openssh-server sudo iproute2 iptables nftables procps psmisc kmod curl wget
ca-certificates iputils-ping less tzdata netbase
"""
PACKAGES = tuple(_NAMES.split())
"""What a bare Debian server has; nothing of Kubernetes, container runtimes or load balancers."""
USER = "debian"
"""The login user with sudo that stands beside root; both are without password and without key."""
TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "unshare": "util-linux",
    "mount": "mount",
    "setsid": "util-linux",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
}
"""Commands that this machine needs, and their Debian packages."""


PRIVATE_RUN = "mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn"
"""Inside a mount namespace of our own: systemd-nspawn leaves nothing in this machine's /run."""


def silent(_: str) -> None:
    """Say nothing."""


def default_cache() -> Path:
    """The folder of everything that can be made again: `$QUORATE_CACHE`, else `~/.cache/quorate`."""
    return Path(os.environ.get("QUORATE_CACHE") or Path.home() / ".cache" / "quorate")


def machine_sources(suite: str = SUITE, etc: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    """This machine's sources of one Debian release, its updates and security; the release itself comes first.

    Raises `ArtifactError` when apt here knows no source of the release.
    """
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        if file.suffix in (".sources", ".list") and file.is_file():
            text = file.read_text(errors="replace")
            found += parse_deb822(text) if file.suffix == ".sources" else parse_list(text)
    fitting: list[Source] = []
    for source in found:
        suites = tuple(one for one in source.suites if one.split("-")[0].split("/")[0] == suite)
        if suites:
            fitting.append(Source(source.uri, suites, source.components, source.signed_by))
    fitting.sort(key=lambda source: suite not in source.suites)
    if not fitting or suite not in fitting[0].suites:
        raise ArtifactError(
            f"apt on this machine has no package source of Debian {suite}",
            f"add a source with the suite `{suite}` under {etc}/sources.list.d",
        )
    return tuple(fitting)


def ensure_tools(commands: Iterable[str], say: Callable[[str], None] = silent) -> None:
    """Make sure that this machine has the commands of `TOOLS`, by apt-get if need be."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({TOOLS[one] for one in commands if shutil.which(one, path=path) is None})
    if not missing:
        return
    hint = f"install them yourself: {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ArtifactError(f"this machine lacks {', '.join(missing)}", hint)
    say(f"installing {', '.join(missing)} on this machine")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = None
    for refresh in (False, True):
        if refresh:
            subprocess.run(["apt-get", "-q", "update"], env=environment, capture_output=True, check=False)
        argv = ["apt-get", "-qy", "--no-install-recommends", "install", *missing]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    assert done is not None
    raise ArtifactError(f"apt-get can't install {', '.join(missing)}: {done.stderr.strip()[-300:]}", hint)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def resolv_conf() -> str:
    """This machine's name servers; behind systemd-resolved's stub those that it asks itself."""
    upstream = Path("/run/systemd/resolve/resolv.conf")
    own = Path("/etc/resolv.conf")
    text = own.read_text() if own.is_file() else ""
    return upstream.read_text() if "127.0.0.53" in text and upstream.is_file() else text


def ensure_root(cache: Path, say: Callable[[str], None] = silent) -> Path:
    """The bare root directory under `cache`, made by debootstrap the first time (about a minute).

    It is complete when it exists, and nobody may write to it: take an overlay. Raises `ArtifactError`.
    """
    recipe = "\n".join([SUITE, *PACKAGES, debian.finish(USER)])
    root = cache / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if root.is_dir():
        return root
    if os.geteuid() != 0:
        raise ArtifactError("a Debian root can only be made as root", "run it with sudo")
    ensure_tools(("debootstrap", "systemd-nspawn"), say)
    with locked(cache / "root.lock"):
        if root.is_dir():
            return root
        for left in cache.glob("root-*.part*"):
            shutil.rmtree(left)
        say(f"making a bare Debian {SUITE} in {root} (once)")
        part = root.with_name(f"{root.name}.part-{uuid.uuid4().hex[:8]}")
        _debootstrap(part)
        _hand_over_apt(part)
        run_in_root(part, ["sh", "-c", debian.finish(USER)])
        part.rename(root)
    return root


def _debootstrap(part: Path) -> None:
    source = machine_sources()[0]
    proxy = _apt_settings().get("Acquire::http::Proxy", "")
    environment = {**os.environ, "LC_ALL": "C", **({"http_proxy": proxy} if proxy else {})}
    argv = ["unshare", "--mount", "--propagation", "private"]  # so that no mount outlives it
    argv += ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv += [f"--keyring={source.signed_by}"] if source.signed_by else []
    log = part.with_name("debootstrap.log")
    with log.open("w") as file:
        done = subprocess.run(
            [*argv, SUITE, str(part), source.uri], env=environment, stdout=file, stderr=file, check=False
        )
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        last = log.read_text().strip().splitlines()[-1:] or [""]
        raise ArtifactError(f"debootstrap failed: {last[0]}", f"see {log}")


def _apt_settings() -> Mapping[str, str]:
    """How this machine's apt fetches: proxies and checks, without anything that runs a program."""
    done = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False)
    wanted = re.compile(r'^(Acquire::(?:https?::[A-Za-z:.-]*|Check-[A-Za-z-]+|Retries)) "([^"]*)";$', re.M)
    return {name: value for name, value in wanted.findall(done.stdout) if value}


def _hand_over_apt(root: Path) -> None:
    """Let apt and TLS inside fetch as they do on this machine."""
    apt = root / "etc/apt"
    (apt / "sources.list").unlink(missing_ok=True)
    sources = machine_sources()
    (apt / "sources.list.d/machine.sources").write_text("\n".join(source.stanza() for source in sources))
    lines = [f'{name} "{value}";\n' for name, value in sorted(_apt_settings().items())]
    (apt / "apt.conf.d/50machine").write_text("".join(lines))
    for keyring in {source.signed_by for source in sources if source.signed_by}:
        if Path(keyring).is_file():
            (root / keyring[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(keyring, root / keyring[1:])
    authorities = root / "usr/local/share/ca-certificates"
    authorities.mkdir(parents=True, exist_ok=True)
    for file in Path("/usr/local/share/ca-certificates").rglob("*.crt"):
        shutil.copyfile(file, authorities / file.name)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text(resolv_conf())


def run_in_root(
    root: Path,
    argv: Sequence[str],
    *,
    upper: Path | None = None,
    binds: Mapping[Path, str] | None = None,
    env: Mapping[str, str] | None = None,
    network: bool = True,
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command inside a root directory, as root, and return its stdout and stderr.

    `upper` keeps what the command changes, in an overlay that leaves `root` as it is (the folder must not be
    on an overlay itself); without it the command writes to `root`. `binds` shows folders of this machine
    inside. Without `network` there is only a loopback. `timeout` is in seconds. The mounts live in a
    namespace of their own and end with the command. Raises `ArtifactError` when it fails.
    """
    script = ["set -eu", PRIVATE_RUN]
    place = root
    if upper is not None:
        place = upper / "root"
        for folder in ("upper", "work", "root"):
            (upper / folder).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={root},upperdir={upper / 'upper'},workdir={upper / 'work'}"
        script.append(shlex.join(["mount", "-t", "overlay", "overlay", "-o", options, str(place)]))
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--console=pipe"]
    nspawn += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", f"--directory={place}"]
    nspawn += [f"--bind={source}:{target}" for source, target in (binds or {}).items()]
    nspawn += [f"--setenv={name}={value}" for name, value in (env or {}).items()]
    nspawn += [] if network else ["--private-network"]
    script.append("exec " + shlex.join([*nspawn, "--", *argv]))
    outside = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    outside += ["--mount-proc", "sh", "-c", "\n".join(script)]
    lines: list[str] = []
    with subprocess.Popen(
        ["timeout", "--signal=KILL", str(timeout or 0), *outside],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # its process namespace ends with it
            raise
    if process.returncode != 0:
        tail = "".join(lines).strip()[-600:]
        late = timeout is not None and process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        how = f"did not end within {timeout} s" if late else f"failed ({process.returncode})"
        what = f"{shlex.join(argv)[:120]} {how} inside {root.name}"
        raise ArtifactError(f"{what}: {tail}")
    return "".join(lines)
