"""Packages of the distribution: from its own mirrors, or from files that quorate brings along."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.sh import quote, sh
from quorate.resource.package_lock import waiting
from quorate.resource.resource import Resource
from quorate.spec.layout import STATE
from quorate.spec.supply import PackageFile

_POLICY = "/usr/sbin/policy-rc.d"
_OURS = f"grep -qsx '# quorate' {_POLICY}"
_HOLD = (
    f"if [ ! -e {_POLICY} ] || {_OURS}; then trap 'rm -f {_POLICY}' EXIT; trap 'exit 143' HUP TERM\n"
    f"printf '#!/bin/sh\\n# quorate\\nexit 101\\n' >{_POLICY}; chmod 755 {_POLICY}; fi\n"
)
"""Debian starts services as it installs them, with their sample configuration; this holds that back."""
_LET_GO = f"if {_OURS}; then rm -f {_POLICY}; fi"
"""Others who install while we wait for them start their services as ever."""

_FOLDER = f"{STATE}/install"
"""Package files on their way."""
_LEFT = f"if [ -e {_FOLDER} ] || {_OURS}; then echo 'left of an install=yes'; else echo 'left of an install=no'; fi"
_CLEAN = f"rm -rf {_FOLDER}; {_LET_GO}"
"""What a power cut in the middle of an install leaves, seen and taken away."""

_HALF = (
    'half() { [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || '
    "grep -Eqs '^Status: .* (half-|unpacked|triggers-)' /var/lib/dpkg/status; }\n"
    "finish() { dpkg --force-confold --configure -a </dev/null >/dev/null; }\n"
)
"""A dpkg that was cut off leaves packages unpacked; the next one passes over those as already there."""

_INSTALL = {
    # A source that can't be reached need not be the one that is needed: the install tells.
    # And an install that was cut off is ended first, or apt-get refuses.
    "apt": "dpkg --force-confold --configure -a </dev/null >/dev/null || :\n"
    "apt-get -qq -o Dpkg::Use-Pty=0 update || :\n"
    "apt-get -qq -s --no-install-recommends install $missing </dev/null | "
    "sed -n 's/^Inst \\([^ ]*\\) .*/\\1/p' | note\n"
    "apt-get -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends install $missing </dev/null",
    "dnf": "dnf -y -q install $missing </dev/null",
    "yum": "yum -y -q install $missing </dev/null",
    "zypper": "zypper -n -q install $missing </dev/null",
    "none": 'echo "no package manager that quorate knows; install $missing yourself" >&2; exit 1',
}

_LIST = {
    # Also those that an install which was cut off left in the middle: they were noted by it, or are the host's own,
    # as libc-bin with its triggers pending.
    "apt": "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' 2>/dev/null | "
    "sed -n '/^not-installed /d; /^config-files /d; s/^[^ ]* //p' | sort -u",
    "rpm": "rpm -qa --qf '%{NAME}\\n' | sort -u",
}


@dataclass(frozen=True, kw_only=True)
class Packages(Resource):
    """Packages that must be installed; what comes with them is remembered and leaves with them."""

    kind: ClassVar[str] = "packages"

    purpose: str
    packages: tuple[str, ...]
    manager: str
    files: tuple[PackageFile, ...] = field(default=(), repr=False)
    """Package files with all they need; without them the host's own mirrors are asked."""
    proxy: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables with which the package manager goes through a proxy; they are nowhere but in its environment."""
    leavings: tuple[str, ...] = ()
    """Folders that the packages' own scripts make and their removal forgets."""
    alone: bool = False
    """Removal takes these packages and leaves all others that came with us: the host stays in the cluster."""

    @property
    def name(self) -> str:
        """What they are for."""
        return self.purpose

    @property
    def brought(self) -> tuple[str, ...]:
        """These, where others stay; the whole of them goes with the host's notes."""
        return self.packages if self.alone else ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The proxy's URL, if there is a login in it."""
        return tuple(text for _, text in self.proxy if "@" in text)

    @property
    def desired(self) -> State:
        """Each installed, and nothing of the installing left."""
        return dict.fromkeys(self.packages, "installed") | {"left of an install": "no"}

    def _list(self) -> str:
        return _LIST["apt" if self.manager == "apt" else "rpm"]

    def probe(self) -> Probe:
        """Ask the package database."""
        names = " ".join(quote(name) for name in self.packages)
        if self.manager == "apt":
            names = " ".join(quote(name) for name in dict.fromkeys([*self.packages, *(f.name for f in self.files)]))
            form = "${Package}=${db:Status-Status} ${Version}\\n"
            return Probe("script", f"dpkg-query -W -f '{form}' -- {names} 2>/dev/null | grep '=installed '\n{_LEFT}")
        # On RHEL 9 iptables is iptables-nft, and curl may be curl-minimal, which excludes curl.
        return Probe(
            "script",
            f'for p in {names}; do if rpm -q --whatprovides "$p" >/dev/null 2>&1 || '
            'rpm -q --whatprovides "/usr/bin/$p" >/dev/null 2>&1; then echo "$p=installed"; fi; done\n'
            f"{_LEFT}",
        )

    def parse(self, answer: str) -> State | None:
        """`installed` by name, and the version of each under `<name> version`."""
        state: dict[str, str] = {}
        for line in answer.splitlines():
            name, _, rest = line.partition("=")
            status, _, version = rest.partition(" ")
            state |= {name: status, f"{name} version": version}
        return state

    def converge(self, actual: State) -> Sequence[Action]:
        """Install what is missing in one go, and remember every package that was not there before."""
        missing = " ".join(quote(name) for name in self.packages if actual.get(name) != "installed")
        if not missing:
            return [Action(_CLEAN)]
        keeps = "".join(f"[ -e {quote(path)} ] || keep {quote(path)}\n" for path in self.leavings)
        # Noted before they come, as far as that is known: whatever cuts this off, they leave with us.
        note = (
            f'{keeps}before=$({self._list()})\nnote() {{ while read -r p; do case "\n$before\n" in '
            f'*"\n$p\n"*) ;; *) echo "$p";; esac; done >>{STATE}/packages; }}\n'
        )
        if not self.files:
            way = "".join(f"export {name}={quote(text)}\n" for name, text in self.proxy)
            install = f"missing={quote(missing)}\n{way}{self._when_free(note, _INSTALL[self.manager])}"
            return [Action(install, secret=bool(self.secrets))]
        files = [file for file in self.files if actual.get(f"{file.name} version") != file.version]
        # Each file is as long as it says: split the one stream by lengths.
        split = "\n".join(
            f"dd bs={file.blob.size} count=1 iflag=fullblock status=none >{_FOLDER}/{quote(file.filename)} "
            f"|| lacks {_FOLDER}/{quote(file.filename)}"
            for file in files
        )
        blob = replace(files[0].blob, rest=tuple(file.blob for file in files[1:]))
        receive = f"{{ gzip -dc | {{\n{split}\n}}; }} || {{ rm -rf {_FOLDER}; exit 1; }}"
        send = Action(f"rm -rf {_FOLDER}; mkdir -p {_FOLDER}; {receive}", blob=blob)
        names = " ".join(f"{_FOLDER}/{quote(file.filename)}" for file in files)
        coming = sh("printf", "%s\\n", *(file.name for file in files))
        note += f"{coming} | note\n"
        install = {
            "apt": f"{_HALF}if half; then finish || :; fi; rc=0\n"
            f"dpkg --force-unsafe-io --force-confold --skip-same-version --refuse-downgrade -i {names} "
            "</dev/null >/dev/null || rc=$?\nif half; then finish; else [ $rc = 0 ]; fi && sync",
        }.get(self.manager, f"rpm -U --quiet --oldpackage --replacepkgs {names} </dev/null")
        return [send, Action(f"{self._when_free(note, install)}\nrm -rf {_FOLDER}")]

    def _when_free(self, note: str, install: str) -> str:
        """Install when nobody else does. What was there before is asked then: others may have brought packages."""
        hold, let_go = (_HOLD, _LET_GO) if self.manager == "apt" else ("", ":")
        return (
            f"{waiting()}install_now() {{\n{hold}{note}{install} && {self._list()} | note\n"
            f"q_done=$?; {let_go}; return $q_done; }}\npatient install_now"
        )

    def remove(self) -> Sequence[Action]:
        """Purge what came with us, once, for all resources of this kind."""
        left = "".join(
            f'if grep -qxF -- {quote(path)} "$MADE" 2>/dev/null; then rm -rf -- {quote(path)}; fi\n'
            for path in self.leavings
        )
        drop = waiting() + (
            "drop() { dpkg --force-depends --purge $gone </dev/null >/dev/null 2>&1 || "
            "apt-get -y -qq purge $gone </dev/null; }\npatient drop"
            if self.manager == "apt"
            else "patient rpm -e --nodeps $gone"
        )
        if self.alone:
            names = " ".join(f"-e {quote(name)}" for name in self.packages)
            return [
                Action(
                    f"gone=$(grep -xF {names} {STATE}/packages 2>/dev/null | sort -u | tr '\\n' ' ')\n"
                    f'if [ -n "$gone" ]; then {drop}\n'
                    f"grep -vxF {names} {STATE}/packages >{STATE}/packages.quorate-new || [ $? = 1 ]\n"
                    f"mv -f {STATE}/packages.quorate-new {STATE}/packages; fi\n{left}"
                )
            ]
        return [
            Action(
                f"if [ -e {STATE}/packages ]; then gone=$(sort -u {STATE}/packages | tr '\\n' ' ')\n"
                f'if [ -n "$gone" ]; then {drop}; fi; {sh("rm", "-f", f"{STATE}/packages")}; fi\n{left}'
            )
        ]
