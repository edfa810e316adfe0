"""Scripts that install packages of the distribution and take them away, by apt and dpkg or by rpm's own tools.

`manager` is apt, dnf, yum, zypper or none; `leavings` are folders that the packages' own scripts make and their removal
forgets. What came with us is listed in `<STATE>/packages`, a name a line.
"""

from collections.abc import Iterable, Sequence

from quorate.render.package_lock import waiting
from quorate.render.sh import quote, sh
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
_LIST = f"{STATE}/packages"
_LEFT = f"if [ -e {_FOLDER} ] || {_OURS}; then echo 'left of an install=yes'; else echo 'left of an install=no'; fi"
CLEAN = f"rm -rf {_FOLDER}; {_LET_GO}"
"""What a power cut in the middle of an install leaves (`seen` tells of it) is taken away."""

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

_ALL = {
    # Also those that an install which was cut off left in the middle: they were noted by it, or are the host's own,
    # as libc-bin with its triggers pending.
    "apt": "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' 2>/dev/null | "
    "sed -n '/^not-installed /d; /^config-files /d; s/^[^ ]* //p' | sort -u",
    "rpm": "rpm -qa --qf '%{NAME}\\n' | sort -u",
}


def seen(manager: str, names: Iterable[str]) -> str:
    """sh that prints `NAME=installed` for each package that is, with apt its version behind that, and whether something
    of an install is left.
    """
    words = " ".join(quote(name) for name in names)
    if manager == "apt":
        form = "${Package}=${db:Status-Status} ${Version}\\n"
        return f"dpkg-query -W -f '{form}' -- {words} 2>/dev/null | grep '=installed '\n{_LEFT}"
    # On RHEL 9 iptables is iptables-nft, and curl may be curl-minimal, which excludes curl.
    return (
        f'for p in {words}; do if rpm -q --whatprovides "$p" >/dev/null 2>&1 || '
        'rpm -q --whatprovides "/usr/bin/$p" >/dev/null 2>&1; then echo "$p=installed"; fi; done\n'
        f"{_LEFT}"
    )


def from_mirrors(
    manager: str, missing: Iterable[str], leavings: Iterable[str], proxy: Iterable[tuple[str, str]]
) -> str:
    """sh that installs packages from the host's own mirrors. `proxy` are variables, by which they may be reached."""
    words = " ".join(quote(name) for name in missing)
    way = "".join(f"export {name}={quote(text)}\n" for name, text in proxy)
    return f"missing={quote(words)}\n{way}{_when_free(manager, _note(manager, leavings), _INSTALL[manager])}"


def receive(files: Sequence[PackageFile]) -> str:
    """sh that takes package files from its stdin, one gzip stream."""
    # Each file is as long as it says: split the one stream by lengths.
    split = "\n".join(
        f"dd bs={file.blob.size} count=1 iflag=fullblock status=none >{_FOLDER}/{quote(file.filename)} "
        f"|| lacks {_FOLDER}/{quote(file.filename)}"
        for file in files
    )
    take = f"{{ gzip -dc | {{\n{split}\n}}; }} || {{ rm -rf {_FOLDER}; exit 1; }}"
    return f"rm -rf {_FOLDER}; mkdir -p {_FOLDER}; {take}"


def from_files(manager: str, files: Sequence[PackageFile], leavings: Iterable[str]) -> str:
    """sh that installs those that were received."""
    names = " ".join(f"{_FOLDER}/{quote(file.filename)}" for file in files)
    coming = sh("printf", "%s\\n", *(file.name for file in files))
    note = f"{_note(manager, leavings)}{coming} | note\n"
    install = {
        "apt": f"{_HALF}if half; then finish || :; fi; rc=0\n"
        f"dpkg --force-unsafe-io --force-confold --skip-same-version --refuse-downgrade -i {names} "
        "</dev/null >/dev/null || rc=$?\nif half; then finish; else [ $rc = 0 ]; fi && sync",
    }.get(manager, f"rpm -U --quiet --oldpackage --replacepkgs {names} </dev/null")
    return f"{_when_free(manager, note, install)}\nrm -rf {_FOLDER}"


def purge(manager: str, leavings: Iterable[str]) -> str:
    """sh that purges all that came with us, once."""
    return (
        f"if [ -e {_LIST} ]; then gone=$(sort -u {_LIST} | tr '\\n' ' ')\n"
        f'if [ -n "$gone" ]; then {_drop(manager)}; fi; {sh("rm", "-f", _LIST)}; fi\n{_left(leavings)}'
    )


def purge_some(manager: str, packages: Iterable[str], leavings: Iterable[str]) -> str:
    """sh that purges these, as far as they came with us, and leaves all others."""
    names = " ".join(f"-e {quote(name)}" for name in packages)
    return (
        f"gone=$(grep -xF {names} {_LIST} 2>/dev/null | sort -u | tr '\\n' ' ')\n"
        f'if [ -n "$gone" ]; then {_drop(manager)}\n'
        f"grep -vxF {names} {_LIST} >{_LIST}.quorate-new || [ $? = 1 ]\n"
        f"mv -f {_LIST}.quorate-new {_LIST}; fi\n{_left(leavings)}"
    )


def _all(manager: str) -> str:
    return _ALL["apt" if manager == "apt" else "rpm"]


def _note(manager: str, leavings: Iterable[str]) -> str:
    """sh function `note`: of the names on its stdin, those that were not there before are listed as ours.

    Noted before they come, as far as that is known: whatever cuts the install off, they leave with us.
    """
    keeps = "".join(f"[ -e {quote(path)} ] || keep {quote(path)}\n" for path in leavings)
    return (
        f'{keeps}before=$({_all(manager)})\nnote() {{ while read -r p; do case "\n$before\n" in '
        f'*"\n$p\n"*) ;; *) echo "$p";; esac; done >>{_LIST}; }}\n'
    )


def _when_free(manager: str, note: str, install: str) -> str:
    """Install when nobody else does. What was there before is asked then: others may have brought packages."""
    hold, let_go = (_HOLD, _LET_GO) if manager == "apt" else ("", ":")
    return (
        f"{waiting()}install_now() {{\n{hold}{note}{install} && {_all(manager)} | note\n"
        f"q_done=$?; {let_go}; return $q_done; }}\npatient install_now"
    )


def _drop(manager: str) -> str:
    return waiting() + (
        "drop() { dpkg --force-depends --purge $gone </dev/null >/dev/null 2>&1 || "
        "apt-get -y -qq purge $gone </dev/null; }\npatient drop"
        if manager == "apt"
        else "patient rpm -e --nodeps $gone"
    )


def _left(leavings: Iterable[str]) -> str:
    return "".join(
        f'if grep -qxF -- {quote(path)} "$MADE" 2>/dev/null; then rm -rf -- {quote(path)}; fi\n' for path in leavings
    )
