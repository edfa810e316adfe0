"""What version each process of a cluster is, asked of the program that runs and not of the file that lies there now;
and what is mixed.
"""

import re
from collections.abc import Iterable, Mapping

from quorate.plan.words import many

PARTS: Mapping[str, str] = {
    "etcd": "etcd",
    "kube-apiserver": "kubernetes",
    "kube-controller-manager": "kubernetes",
    "kube-scheduler": "kubernetes",
    "kubelet": "kubernetes",
    "kube-proxy": "kubernetes",
    "containerd": "containerd",
    "docker": "docker",
}
"""Services that are asked, and what they are parts of; those of one part want the same version."""
ASK = f"""\
for u in {" ".join(PARTS)}; do
  p=$(systemctl show -p MainPID --value "$u.service") && [ "${{p:-0}}" != 0 ] || continue
  v=$(timeout 5 "/proc/$p/exe" --version </dev/null 2>/dev/null | tr '\\n' ' ') && echo "$u $v"
done"""
"""The kernel keeps the program of a process also where another one has its name by now."""
_VERSION = re.compile(r"(?<![0-9.])[0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta|rc)\.[0-9]+)?")
NAMED = 5
"""Hosts of one version that are named."""
Versions = Mapping[str, Mapping[str, str]]
"""By host and service."""


def parse(said: str) -> dict[str, str]:
    """The answer to ASK: version by service."""
    lines = (line.partition(" ") for line in said.splitlines())
    return {name: found[0] for name, _, text in lines if name in PARTS and (found := _VERSION.search(text))}


def brief(mine: Mapping[str, str]) -> str:
    """The versions of one host: a part in a word where all of it is of one version."""
    parts: dict[str, dict[str, str]] = {}
    for name, version in mine.items():
        parts.setdefault(PARTS[name], {})[name] = version
    told = []
    for part, versions in parts.items():
        one = len(set(versions.values())) == 1
        told += [f"{part} {next(iter(versions.values()))}"] if one else [" ".join(each) for each in versions.items()]
    return ", ".join(told)


def mixed(versions: Versions) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
    """Of each part that runs in several versions: by version and service the hosts."""
    found: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for host, mine in versions.items():
        for name, version in mine.items():
            of = found.setdefault(PARTS[name], {}).setdefault(version, {})
            of[name] = (*of.get(name, ()), host)
    return {part: of for part, of in found.items() if len(of) > 1}


def told(part: str, of: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    """A part that is mixed, in a line."""
    return f"{part} {'; '.join(f'{version}: {_where(services)}' for version, services in sorted(of.items()))}"


def _where(services: Mapping[str, tuple[str, ...]]) -> str:
    """Services of the same hosts together."""
    by_hosts: dict[tuple[str, ...], list[str]] = {}
    for name, hosts in services.items():
        by_hosts.setdefault(hosts, []).append(name.removeprefix("kube-"))
    return ", ".join(f"{', '.join(names)} on {_named(hosts)}" for hosts, names in by_hosts.items())


def _named(hosts: Iterable[str]) -> str:
    found = [*hosts]
    more = len(found) - NAMED
    return ", ".join(found[:NAMED]) + (f" and {many(more, 'other')}" if more > 0 else "")


def alike(versions: Versions) -> dict[str, str]:
    """Hosts, named together where they run the same, and what that is."""
    found: dict[str, list[str]] = {}
    for host, mine in versions.items():
        if mine:
            found.setdefault(brief(mine), []).append(host)
    return {_named(hosts): what for what, hosts in found.items()}
