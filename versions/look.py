"""Reads off what the programs of each version know, and writes src/quorate/spec/known: `make versions` is this.

Kubernetes' programs are asked through the Go programs in `look`, compiled by the locks by which they are built
themselves, since their `--help` leaves out hidden flags and gates that are generally available. etcd and containerd are
asked themselves: those in the folder that is named, laid out as `etcd-3.7.3/bin/etcd`, or those that quorate has built,
out of its cache. What can't be asked stays as it was.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from built import numbers, programs

from quorate.artifact.golang.locks import SHIPPED

HERE = Path(__file__).parent
KNOWN = HERE.parent / "src/quorate/spec/known"
TAGS = "selinux,notest,grpcnotrace"
"""Those of the programs themselves, so that Go finds their packages compiled."""

Full = dict[str, str]
"""Everything that one version knows, by name."""


def main(folder: Path | None) -> None:
    """Read all versions that can be had into the shipped files."""
    with tempfile.TemporaryDirectory() as scratch:
        places = {at.name.partition("-")[2]: at for at in SHIPPED.glob("kubernetes-*")}
        places |= {at.parent.name.partition("-")[2]: at.parent for at in (folder or SHIPPED).glob("kube*-*/go.mod")}
        for version in sorted(places, key=numbers):
            take("kubernetes", version, kubernetes(places[version]))
        for part, ask in (("etcd", etcd), ("containerd", containerd)):
            for version, place in programs(part, Path(scratch), folder).items():
                take(part, version, ask(place))


def take(part: str, version: str, found: Mapping[str, Mapping[str, Full]]) -> None:
    """Enter what one version knows."""
    print(part, version, flush=True)
    for subject, by_name in found.items():
        keep(subject, part, version, by_name)


def kubernetes(at: Path) -> Mapping[str, Mapping[str, Full]]:
    """Tables by subject, from the programs in `look`, compiled by the lock in a folder."""
    told = compiled(at, "programs.go")
    told["flags"]["kube-proxy"] = compiled(at, "proxy.go")
    return tables(told)


def tables(told: Mapping[str, Any]) -> Mapping[str, Mapping[str, Full]]:
    """What those programs say, by subject."""
    return {
        "flags": {program: plain(names) for program, names in told["flags"].items()},
        # The programs share one set of gates, a few aside that only one of them has.
        "gates": {"kubernetes": told["gates"]},
        "fields": told["fields"],
        "apis": {kind: plain(versions) for kind, versions in told["apis"].items()},
    }


def compiled(lock: Path, source: str) -> Any:
    """What a program of ours prints. What its packages need is mostly in Go's cache since Kubernetes was built."""
    with tempfile.TemporaryDirectory() as work:
        for path in (lock / "go.mod", lock / "go.sum", HERE / "look" / source):
            shutil.copy(path, work)
        env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
        command = ["go", "build", "-trimpath", f"-tags={TAGS}", "-ldflags=-s -w", "-o", "look", source]
        subprocess.run(command, cwd=work, env=env, check=True)
        return json.loads(subprocess.run([f"{work}/look"], capture_output=True, text=True, check=True).stdout)


def etcd(at: Path) -> Mapping[str, Mapping[str, Full]]:
    """Flags of `--help`, those of other versions that it takes without telling, and the gates that `--help` names."""
    program = str(next(path for name in ("etcd", "server") if (path := at / name).exists()))
    text = said([program, "--help"])
    shown = set(re.findall(r"^  --([a-z0-9-]+)", text, re.MULTILINE))
    ever = {name for change in load("flags").get("etcd", {}).values() for name in change["+"]}
    hidden = {name for name in ever - shown if "not defined" not in said([program, f"--{name}=", "--version"])}
    found = re.findall(r"([A-Z]\w+)=true\|false \(([A-Z]+) - default=(true|false)\)", text)
    gates = {name: f"{stage.lower()} {'on' if on == 'true' else 'off'}" for name, stage, on in found}
    return {"flags": {"etcd": plain(shown | hidden)}, "gates": {"etcd": gates} if gates else {}}


def containerd(at: Path) -> Mapping[str, Mapping[str, Full]]:
    """Fields of the default configuration, by their path."""
    config = tomllib.loads(said([str(at / "containerd"), "config", "default"]))
    return {"fields": {"containerd": dict(paths(config))}}


def paths(config: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, str]]:
    """`a / b / c` and the kind of value, of everything in a table; plugins have dots in their names."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield f"{above}{name}", "table"
            yield from paths(value, f"{above}{name} / ")
        else:
            yield f"{above}{name}", type(value).__name__


def said(command: list[str]) -> str:
    """All that a program prints, whatever its exit code."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def plain(names: Iterable[str]) -> Full:
    """Names without more to say about them."""
    return dict.fromkeys(sorted(names), "")


def keep(subject: str, part: str, version: str, found: Mapping[str, Full]) -> None:
    """Enter one version into a shipped file; the versions beside it keep what they have."""
    data = load(subject)
    minor = version.rpartition(".")[0]
    for name, now in found.items():
        full = unfold(data.get(name, {}))
        full[minor] = now
        data[name] = fold(full)
        data.setdefault("read", {}).setdefault(part, {})[minor] = version
    data["read"] = {each: ordered(read) for each, read in data.get("read", {}).items()}
    (KNOWN / f"{subject}.json").write_text(text(data))


def load(subject: str) -> dict[str, Any]:
    """A shipped file, or an empty one."""
    path = KNOWN / f"{subject}.json"
    return json.loads(path.read_text()) if path.exists() else {"origin": [], "read": {}}


def unfold(changes: Mapping[str, Any]) -> dict[str, Full]:
    """The full list of each version."""
    now: Full = {}
    full = {}
    for minor, change in changes.items():
        came = change["+"]
        now = now | (came if isinstance(came, dict) else plain(came))
        now = {name: value for name, value in now.items() if name not in change["-"]}
        full[minor] = now
    return full


def fold(full: Mapping[str, Full]) -> dict[str, Any]:
    """What came, changed or went in each version."""
    before: Full = {}
    changes = {}
    for minor, now in ordered(full).items():
        came = {name: now[name] for name in sorted(now) if before.get(name) != now[name]}
        bare = not any(now.values()) and not any(before.values())
        changes[minor] = {"+": list(came) if bare else came, "-": sorted(set(before) - set(now))}
        before = now
    return changes


def ordered(table: Mapping[str, Any]) -> dict[str, Any]:
    """By version."""
    return dict(sorted(table.items(), key=lambda pair: numbers(pair[0])))


def text(data: Mapping[str, Any]) -> str:
    """JSON with a line for each version: small, and a difference shows what a version brought."""
    blocks = []
    for name, table in data.items():
        if isinstance(table, list):
            lines = ",\n".join(f"  {json.dumps(line, ensure_ascii=False)}" for line in table)
            blocks.append(f" {json.dumps(name)}: [\n{lines}\n ]")
        else:
            lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
            blocks.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
