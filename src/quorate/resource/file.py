"""Things on the disk: file, directory, symlink, binary."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Blob, Probe, State
from quorate.render.sh import heredoc, quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE


@dataclass(frozen=True, kw_only=True)
class File(Resource):
    """A file with this content, mode and owner."""

    kind: ClassVar[str] = "file"

    path: str
    content: str = field(repr=False)
    mode: str = "0644"
    owner: str = "root:root"
    secret: bool = False
    """The content is shown only as its digest."""
    trial: str = field(default="", repr=False)
    """The body of a function of sh that gets the new file's path, and fails when that must not replace the old one.
    It runs when everything else is there that the unit loads.
    """

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    @property
    def traces(self) -> tuple[str, ...]:
        """Its path."""
        return (self.path,)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its content, if that is one."""
        return (self.content,) if self.secret else ()

    @property
    def desired(self) -> State:
        """Digest, mode and owner."""
        digest = hashlib.sha256(self.content.encode()).hexdigest()
        return {"type": "file", "sha256": digest, "mode": self.mode, "owner": self.owner}

    def probe(self) -> Probe:
        """Ask for the path."""
        return Probe("path", self.path)

    def converge(self, actual: State) -> Sequence[Action]:
        """Write it whole beside the old one and rename; a directory in the way is an error of the host."""
        order = f"place {self.mode} {quote(self.owner)} {quote(self.path)} {heredoc(self.content)}"
        if self.trial:
            order = f"q_trial() {{\n{self.trial}\n}}\n{order}"
        return [Action(order, secret=self.secret)]

    def remove(self) -> Sequence[Action]:
        """Put back what was found there."""
        return [Action(sh("putback", self.path))]


@dataclass(frozen=True, kw_only=True)
class Directory(Resource):
    """A directory of ours; `purge` takes its content with it on removal."""

    kind: ClassVar[str] = "directory"

    path: str
    mode: str = "0755"
    owner: str = "root:root"
    purge: bool = False
    within: str = ""
    """A directory above it that stays when this one goes; others of ours above it go with it when they are empty."""

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    @property
    def desired(self) -> State:
        """Mode and owner."""
        return {"type": "directory", "owner": self.owner, "mode": self.mode}

    def probe(self) -> Probe:
        """Ask for the path."""
        return Probe("path", self.path)

    def converge(self, actual: State) -> Sequence[Action]:
        """Make it, with its parents, and remember which of them were not there."""
        path = quote(self.path)
        return [Action(f"{_make(self.path)}chown -- {quote(self.owner)} {path}; chmod -- {self.mode} {path}")]

    def remove(self) -> Sequence[Action]:
        """Take it away if we made it: with everything in it, or only when it is empty."""
        path = quote(self.path)
        take = f"rm -rf -- {path}" if self.purge else f"rmdir -- {path} 2>/dev/null || :"
        return [
            Action(
                f'if [ -d {path} ] && grep -qxF -- {path} "$MADE" 2>/dev/null; then {take}; fi\n'
                f"{_unmake(self.path, self.within)}"
            )
        ]


def _make(path: str) -> str:
    return (
        f"p={quote(path)}\n"
        'while [ -n "$p" ] && ! [ -d "$p" ]; do keep "$p"; p=${p%/*}; done; [ -z "$q_note" ] || sync -- "$q_note"\n'
        f"umask 022; mkdir -p -- {quote(path)}; umask 077; label {quote(path)}\n"
    )


def _unmake(path: str, within: str) -> str:
    return (
        f"p={quote(path)}; p=${{p%/*}}; "
        f'while [ -n "$p" ] && [ "$p" != {quote(within)} ] && grep -qxF -- "$p" "$MADE" 2>/dev/null; do '
        'rmdir -- "$p" 2>/dev/null || :; p=${p%/*}; done'
    )


@dataclass(frozen=True, kw_only=True)
class DataDirectory(Directory):
    """A directory that a service fills, and whose mode it may choose itself.

    How it was found is noted before the service starts: what was not there goes on removal, what was empty is
    emptied (a mount point, say, with its `lost+found`), and data of somebody else's stay.
    """

    kind: ClassVar[str] = "data"

    @property
    def desired(self) -> State:
        """Owner, mode where we choose it, and the note."""
        mode = {"mode": self.mode} if self.mode else {}
        return {"type": "directory", "owner": self.owner, "found": "noted", **mode}

    def probe(self) -> Probe:
        """The note besides owner and mode."""
        path = quote(self.path)
        return Probe(
            "script",
            f"[ -d {path} ] || exit 0; echo type=directory; stat -c 'owner=%U:%G\nmode=0%a' {path}\n"
            f"grep -qxF -e {path} -e {path}/. -e {path}/full {STATE}/made && echo found=noted",
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Note, then make."""
        path = quote(self.path)
        mode = f"; chmod -- {self.mode} {path}" if self.mode else ""
        return [
            Action(
                f'if [ -d {path} ] && ! grep -qxF -e {path} -e {path}/. -e {path}/full "$MADE" 2>/dev/null; then\n'
                f"  stat -c '%a %U:%G %n' {path} >>{STATE}/attributes\n"
                f'  how=.; [ -z "$(ls -A -I lost+found {path})" ] || how=full; echo {path}/$how >>"$MADE"; fi\n'
                f"{_make(self.path)}chown -- {quote(self.owner)} {path}{mode}"
            )
        ]

    def remove(self) -> Sequence[Action]:
        """Take it away, or empty it, or leave it, by the note, and with the owner and mode that it had."""
        path = quote(self.path)
        return [
            Action(
                f'if grep -qxF -- {path} "$MADE" 2>/dev/null; then rm -rf -- {path}\n'
                f'elif [ -d {path} ] && grep -qxF -- {path}/. "$MADE" 2>/dev/null; then '
                f"find {path} -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf -- {{}} +; fi\n"
                f"if [ -d {path} ] && [ -e {STATE}/attributes ]; then while read -r m o n; do "
                f'[ "$n" != {path} ] || {{ chown "$o" {path}; chmod "$m" {path}; }}; done <{STATE}/attributes; fi\n'
                f"{_unmake(self.path, self.within)}"
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Symlink(Resource):
    """A symbolic link."""

    kind: ClassVar[str] = "link"

    path: str
    target: str

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    @property
    def traces(self) -> tuple[str, ...]:
        """Its path."""
        return (self.path,)

    @property
    def desired(self) -> State:
        """Where it points."""
        return {"type": "link", "target": self.target}

    def probe(self) -> Probe:
        """Ask for the path."""
        return Probe("path", self.path)

    def converge(self, actual: State) -> Sequence[Action]:
        """Make it beside the old one and rename."""
        path, new = quote(self.path), quote(f"{self.path}.quorate-new")
        return [Action(f"keep {path}; leaves {new}; ln -sfn -- {quote(self.target)} {new}; mv -fT -- {new} {path}")]

    def remove(self) -> Sequence[Action]:
        """Put back what was found there."""
        return [Action(sh("putback", self.path))]


@dataclass(frozen=True, kw_only=True)
class Binary(Resource):
    """A large file that is streamed to the host; one that is there already, by digest, is never sent."""

    kind: ClassVar[str] = "binary"

    path: str
    blob: Blob
    mode: str = "0755"

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    @property
    def traces(self) -> tuple[str, ...]:
        """Its path."""
        return (self.path,)

    @property
    def desired(self) -> State:
        """Digest, mode and owner."""
        return {"sha256": self.blob.sha256, "mode": self.mode, "owner": "root:root"}

    def probe(self) -> Probe:
        """Ask for the path; the host remembers digests of large files by size, times and inode."""
        return Probe("binary", self.path)

    def converge(self, actual: State) -> Sequence[Action]:
        """Unpack beside the old one, compare lengths, rename, remember the digest.

        The host does not hash what it got, which would cost it as much as unpacking: our own file was checked
        by digest, SSH authenticates every byte on the way, and gzip compares its checksum and length at the end.
        """
        path, new = quote(self.path), quote(f"{self.path}.quorate-new")
        settle = (
            f"chown root:root {new}; chmod {self.mode} {new}; sync -- {new} $q_note\n"
            f"mv -fT -- {new} {path}; label {path}\n"
            f"printf '%s %s\\n' \"$(stat -c '%n %s %.9Y %.9Z %i' -- {path})\" {self.blob.sha256} >>{STATE}/sums"
        )
        if actual.get("sha256") == self.blob.sha256:
            return [Action(f"chown root:root {path}; chmod {self.mode} {path}")]
        return [
            Action(
                f"{sh('keep', self.path)}; leaves {new}; gzip -dc >{new} || lacks {path}\n"
                f'n=$(stat -c %s -- {new}); if [ "$n" != {self.blob.size} ]; then rm -f -- {new}; '
                f'echo {quote(self.path)}: "$n" bytes came instead of {self.blob.size} >&2; exit 1; fi\n{settle}',
                blob=self.blob,
            )
        ]

    def remove(self) -> Sequence[Action]:
        """Put back what was found there."""
        return [Action(sh("putback", self.path))]
