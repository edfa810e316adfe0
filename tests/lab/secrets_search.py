"""Search for a cluster's secrets where none may be: outputs, journals, process lists, files that others can read.

```
with sampled(deployed) as seen:
    done = deployed.quorate("apply", "--yes", "-v")
assert seen.found(known(deployed)) == []
assert searched(deployed, {"apply": done.stdout + done.stderr}) == []
with planted(deployed, "master01") as control:  # the search itself works
    assert {place for place, _ in searched(deployed, {}, control)} >= {"master01 journal", "master01 /etc/control"}
```
"""

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import secret_forms
from deployed import Deployed
from secret_forms import Secrets

from quorate.backup.places import local_folder
from quorate.core import QuorateError
from quorate.lab import record
from quorate.render.sh import heredoc, quote
from quorate.transport.ssh import SshTransport

Found = list[tuple[str, str]]
"""Place, and id of the secret that was found there."""

PERIOD = 0.5
"""Seconds between two looks at the processes of a host."""
LIVES_IN = ("pki", "random", "copy", "retired")
"""Folders of the state folder that are there for secrets."""
PRUNED = ("/proc", "/sys", "/usr/share", "/usr/lib", "/opt/kubernetes/bin", "/opt/cni", "/var/lib/containerd")
"""Kernel, distribution, and programs that quorate brings and containers unpack: no secret of a run gets there."""
LARGEST = "2048k"

_PROCESSES = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sort -u"


def state_of(deployed: Deployed) -> Path:
    """The state folder."""
    return deployed.file.parent / ".quorate" / deployed.cluster.name


def known(deployed: Deployed, **more: bytes) -> dict[str, tuple[bytes, ...]]:
    """Every secret of a cluster: private keys, random values, the key of its copies and backups, what opens the places
    of these, the key of the lab's SSH.

    `more` are others by name, such as a passphrase or a sudo password.
    """
    state = state_of(deployed)
    found = {name: secret_forms.plain(content) for name, content in more.items()} | secret_forms.of_state(state)
    for number, place in enumerate(deployed.cluster.backup.places):
        if place.ssh is not None:
            found[f"key of place {number}"] = secret_forms.openssh(place.ssh.key.read_bytes())
        elif place.s3 is not None:
            _, _, secret = place.s3.login_file.read_bytes().partition(b":")
            found[f"login of place {number}"] = secret_forms.plain(secret)
    if lab := record.find(deployed.cluster.name):
        found["lab key"] = secret_forms.pem(lab.key.read_bytes())
    return secret_forms.without_public(found, state)


class Seen:
    """Arguments and environment of every process that was there when somebody looked."""

    def __init__(self) -> None:
        self.lines: dict[str, set[bytes]] = {}
        self.looks: Counter[str] = Counter()

    def take(self, place: str, text: bytes) -> None:
        self.lines.setdefault(place, set()).update(text.splitlines())
        self.looks[place] += 1

    def found(self, known: Secrets) -> Found:
        """The secrets in them. Keys that were made meanwhile are known only afterwards."""
        hits = (
            (place, name)
            for place, lines in self.lines.items()
            for name in secret_forms.within(b"\n".join(lines), known)
        )
        return sorted(hits)


def backups_of(deployed: Deployed) -> list[Path]:
    """The folders of this machine in which its backups lie, and are proved."""
    places = [place.folder for place in deployed.cluster.backup.places if place.folder is not None]
    return list(dict.fromkeys((local_folder(deployed.cluster, deployed.file, None), *places)))


def _here(folders: Sequence[Path]) -> bytes:
    """Arguments and environment of this machine's own processes of quorate, and of those that work in these folders,
    such as a throw-away API server."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            works = (process / "cwd").readlink()
            if b"quorate" in arguments or any(works.is_relative_to(each) for each in folders):
                found.append(arguments + b"\0" + (process / "environ").read_bytes())
    return b"\0".join(found).replace(b"\0", b"\n")


async def _sample(deployed: Deployed, seen: Seen, stop: threading.Event) -> None:
    cluster = deployed.cluster
    via = SshTransport.of(cluster)

    async def host(name: str) -> None:
        while not stop.is_set():
            begin = time.monotonic()
            with suppress(QuorateError):  # a host may be off for a while
                seen.take(f"{name} processes", (await via.run(name, _PROCESSES)).encode("utf-8", "surrogateescape"))
            await asyncio.sleep(max(0.05, PERIOD - (time.monotonic() - begin)))

    async def here() -> None:
        while not stop.is_set():
            seen.take("processes here", await asyncio.to_thread(_here, backups_of(deployed)))
            await asyncio.sleep(0.1)

    try:
        await asyncio.gather(here(), *(host(each.name) for each in cluster.hosts))
    finally:
        await via.close()


@contextmanager
def sampled(deployed: Deployed) -> Iterator[Seen]:
    """Look at the processes of all hosts, and at ours, twice a second while the block runs: one connection a host."""
    seen, stop, failed = Seen(), threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            asyncio.run(_sample(deployed, seen, stop))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert not failed, failed
    assert all(seen.looks[f"{host.name} processes"] for host in deployed.cluster.hosts), f"not looked at: {seen.looks}"


def script(known: Secrets, backups: str, root: str = "/") -> str:
    """sh that prints `place<TAB>what was found` for the journal, logs, files that others can read, and whatever lies in
    the folder of backups: all that is sealed, and no run has left there what is not.

    The patterns lie in memory meanwhile, in a file for root alone.
    """
    patterns = "".join(f"{form.decode()}\n" for forms in known.values() for form in forms)
    pruned = " -o ".join(f"-path {quote(path)}" for path in PRUNED)
    always = " ".join(quote(root.rstrip("/") + folder) for folder in ("/var/log", backups))
    return (
        "umask 077; p=$(mktemp -p /run); trap 'rm -f \"$p\"' EXIT\n"
        f'cat >"$p" {heredoc(patterns)}\n'
        "journalctl --no-pager -o export 2>/dev/null | grep -aoFf \"$p\" | sort -u | sed 's/^/journal\\t/'\n"
        # What others can't come to, because a folder above is closed, they can't read.
        f"{{ find {quote(root)} -xdev \\( {pruned} -o -type d ! -perm -001 \\) -prune -o "
        f"-type f -perm -004 -size -{LARGEST} -print0; find {always} -type f -print0; }} "
        "2>/dev/null | xargs -0 -r grep -aHoFf \"$p\" -- 2>/dev/null | sort -u | sed 's/:\\([^:]*\\)$/\\t\\1/'\n"
    )


def read(output: str, known: Secrets) -> Found:
    """What the script's output tells."""
    found = set()
    for line in output.splitlines():
        place, _, match = line.partition("\t")
        found |= {(place, name) for name in secret_forms.within(match.encode(), known)}
    return sorted(found)


def searched(deployed: Deployed, outputs: Mapping[str, str | bytes], secrets: Secrets | None = None) -> Found:
    """Where any secret was found: in the outputs by name, in the state folder outside of its place, in backups and
    beside them, on the hosts."""
    what = known(deployed) if secrets is None else secrets
    found: Found = []
    for place, text in outputs.items():
        found += [(place, name) for name in secret_forms.within(text.encode() if isinstance(text, str) else text, what)]
    state = state_of(deployed)
    for path in sorted(state.rglob("*")):
        if path.is_file() and path.relative_to(state).parts[0] not in LIVES_IN:
            found += [(str(path.relative_to(state)), name) for name in secret_forms.within(path.read_bytes(), what)]
    for folder in backups_of(deployed):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found += [(str(path), name) for name in secret_forms.within(path.read_bytes(), what)]
    for host, output in deployed.run(script(what, deployed.cluster.backup.folder)).items():
        found += [(f"{host} {place}", name) for place, name in read(output, what)]
    return found


@contextmanager
def planted(deployed: Deployed, host: str) -> Iterator[Secrets]:
    """A made-up secret in a file for everybody, in the journal and in the arguments of a process of a host."""
    control = f"control{secrets.token_hex(16)}"
    unit = "quorate-control.service"
    deployed.run(
        f"echo {control} >/etc/control; chmod 644 /etc/control; echo {control} | systemd-cat -t control\n"
        f"systemd-run --quiet --unit={unit} /bin/sh -c 'sleep 600; :' {control}; journalctl --sync || :",
        host,
    )
    try:
        yield {"control": (control.encode(),)}
    finally:
        deployed.run(f"rm -f /etc/control; systemctl stop {unit} || :", host)
