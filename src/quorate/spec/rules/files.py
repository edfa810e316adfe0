"""Rules about the files that the cluster file names: they exist, and secrets are for their owner alone."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from quorate.spec.cluster import Cluster, Ssh
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where

SECRETS = ("key", "password_file", "sudo_password_file")
SECRETS_OF_JUMP = ("key", "password_file")
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_PUBLIC = (b"ssh-", b"ecdsa-", b"sk-", b"-----BEGIN CERTIFICATE", b"-----BEGIN PUBLIC", b"---- BEGIN SSH2 PUBLIC")
_DER = b"\x30"
"""A key without armour begins so: an ASN.1 sequence."""
LOGIN = re.compile(r"[^:\s][^:]*:.+")
"""User and password, as HTTP's Basic scheme joins them: the first colon parts them."""
LARGEST = 8 * 1024 * 1024
"""Bytes of a text that goes into the cluster: the largest CNI manifests have a tenth of it."""


def _missing(path: Path, where: Where, folder: bool = False) -> Iterator[Fault]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no path"
        yield Fault(where, f"{path} can't be used: {reason}", "create it, or correct the path", value=str(path))
        return
    kind = stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)
    if not kind:
        what = "folder" if folder else "file"
        yield Fault(where, f"{path} is no {what}", f"name a {what}", value=str(path))
    elif not os.access(path, os.R_OK):
        yield Fault(where, f"{path} is not readable for you", f"chown or chmod it: `chmod u+r {path.name}`")


def _secret(path: Path, where: Where) -> Iterator[Fault]:
    if str(path).startswith("env:"):
        if where[-1] == "key":
            yield Fault(
                where, "a key can't come from a variable", "write it into a file of mode 0600, or use ssh-agent"
            )
        elif not _VARIABLE.fullmatch(str(path)):
            yield Fault(where, "names no variable", "write env:NAME, with letters, digits and '_'")
        return
    if wrong := list(_missing(path, where)):
        yield from wrong
        return
    found = path.stat()
    if found.st_mode & 0o077:
        rule_ = f"{path} has mode {found.st_mode & 0o777:04o}: others can read or change this secret"
        yield Fault(where, rule_, f"run `chmod 600 {path}`", value=str(path))
    elif found.st_size == 0:
        yield Fault(where, f"{path} is empty", "write the secret into it", value=str(path))
    elif where[-1] == "key" and (wrong_kind := _no_key(path)):
        yield Fault(where, f"{path} {wrong_kind[0]}", wrong_kind[1], value=str(path))


def _no_key(path: Path) -> tuple[str, str] | None:
    """What a file is instead of a private key, and the fix; a passphrase is asked for when it is needed."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_PUBLIC):
        return "is the public half of a key", "name the private one: the file without .pub"
    if head.startswith(b"PuTTY-User-Key-File"):
        return "is a key of PuTTY", "run `puttygen <key> -O private-openssh -o <file>` and name that"
    if b"PRIVATE KEY-----" not in head and not head.startswith(_DER):
        return "is no private key", "name a private key of OpenSSH, as ssh-keygen makes it"
    return None


def _ssh(ssh: Ssh, around: Where) -> Iterator[Fault]:
    for field in SECRETS:
        path: Path | None = getattr(ssh, field)
        if path is not None:
            yield from _secret(path, (*around, field))
    for field in SECRETS_OF_JUMP:
        path = getattr(ssh.jump, field, None)
        if path is not None:
            yield from _secret(path, (*around, "jump", field))
    if ssh.known_hosts is not None and ssh.known_hosts.exists():
        yield from _missing(ssh.known_hosts, (*around, "known_hosts"))


def _text(path: Path, where: Where, words: tuple[str, ...]) -> Iterator[Fault]:
    """A YAML file that goes into the cluster as it is: there, text, and of the right sort by the words in it."""
    if wrong := list(_missing(path, where)):
        yield from wrong
        return
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield Fault(where, f"{path} is not UTF-8 text", "save it as UTF-8, or correct the path")
        return
    if len(content) > LARGEST:
        yield Fault(where, f"{path} is larger than {LARGEST} bytes", "correct the path")
    elif missing := [
        word for word in words if not re.search(rf"(?:^|[{{,])[ -]*['\"]?{word}['\"]?:", text, re.MULTILINE)
    ]:
        yield Fault(where, f"{path} has no `{missing[0]}:`: it is no such file", "correct the path, or the file")


def _login(path: Path, where: Where) -> Iterator[Fault]:
    wrong = list(_secret(path, where))
    yield from wrong
    if not wrong and not str(path).startswith("env:"):
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        if not LOGIN.fullmatch(first.rstrip("\r")):
            yield Fault(where, f"{path} is no login", "write USER:PASSWORD in its first line")


def secrets(cluster: Cluster) -> Iterator[Fault]:
    """Keys and password files exist and have mode 0600 or less."""
    yield from _ssh(cluster.ssh, ("ssh",))
    for index, host in enumerate(cluster.hosts):
        yield from _ssh(host.ssh, ("hosts", index, "ssh"))


def manifest(cluster: Cluster) -> Iterator[Fault]:
    """The CNI's YAML exists, unless it is a URL."""
    name = cluster.network.manifest
    if name and "://" in name:
        if not name.startswith("https://"):
            rule_ = "is fetched without protection: it runs with all rights in the cluster"
            yield Fault(("network", "manifest"), rule_, "write an https URL or the path of a file")
    elif name:
        yield from _text(Path(name), ("network", "manifest"), ("apiVersion", "kind"))


def audit_policy(cluster: Cluster) -> Iterator[Fault]:
    """The audit policy exists."""
    if cluster.apiserver.audit_policy:
        yield from _text(cluster.apiserver.audit_policy, ("apiserver", "audit_policy"), ("apiVersion", "kind", "rules"))


def registries(cluster: Cluster) -> Iterator[Fault]:
    """Authorities of registries are certificates; logins are logins, and for their owner alone."""
    for server, given in cluster.runtime.registry_access.items():
        where: Where = ("runtime", "registry_access", server)
        if given.ca_file is not None:
            at: Where = (*where, "ca_file")
            wrong = list(_missing(given.ca_file, at))
            yield from wrong
            if not wrong and b"-----BEGIN CERTIFICATE-----" not in given.ca_file.read_bytes():
                rule_ = f"{given.ca_file} holds no certificate in PEM"
                yield Fault(at, rule_, "name the PEM of the authority that signed the registry's certificate")
        if given.login_file is not None:
            yield from _login(given.login_file, (*where, "login_file"))


def proxy(cluster: Cluster) -> Iterator[Fault]:
    """The login of the hosts' proxy is one, and for its owner alone."""
    if cluster.os.proxy and cluster.os.proxy.login_file is not None:
        yield from _login(cluster.os.proxy.login_file, ("os", "proxy", "login_file"))


def places(cluster: Cluster) -> Iterator[Fault]:
    """What places of backups are reached with is there, and secrets are for their owner alone."""
    for index, place in enumerate(cluster.backup.places):
        where: Where = ("backup", "places", index)
        if place.ssh is not None:
            yield from _secret(place.ssh.key, (*where, "ssh", "key"))
            yield from _missing(place.ssh.known_hosts, (*where, "ssh", "known_hosts"))
        if place.s3 is not None:
            yield from _login(place.s3.login_file, (*where, "s3", "login_file"))
            if place.s3.ca_file is not None:
                yield from _missing(place.s3.ca_file, (*where, "s3", "ca_file"))


def artifacts(cluster: Cluster) -> Iterator[Fault]:
    """Images and the folder of binaries exist; the folder has its checksums."""
    given = cluster.artifacts
    where: Where = ("artifacts", "directory")
    for index, image in enumerate(given.images):
        yield from _missing(image, ("artifacts", "images", index))
    if given.source == "directory" and given.directory is None:
        yield Fault(where, "is missing for source: directory", "write the folder of binaries")
    if given.directory is not None:
        if given.source in ("release", "debian", "modules"):
            yield Fault(where, f"has no effect with source: {given.source}", "write `source: directory`, or remove it")
        wrong = list(_missing(given.directory, where, folder=True))
        yield from wrong
        # One version at its top, or a folder for each.
        if not wrong and not any(any(given.directory.glob(each)) for each in ("SHA256SUMS", "kubernetes-*/SHA256SUMS")):
            run = "find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS"
            fix = f"where you trust the binaries, run there `{run}`"
            yield Fault(where, f"{given.directory} has no SHA256SUMS file: nothing proves its binaries", fix)


RULES = (
    rule("hosts ssh", secrets),
    rule("network", manifest),
    rule("apiserver", audit_policy),
    rule("runtime", registries),
    rule("os", proxy),
    rule("backup", places),
    rule("artifacts", artifacts),
)
