"""A module proxy of one small module, as files, and a lock for it: the go command reads both as it reads real ones."""

import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

from quorate.artifact.golang.families import Family
from quorate.artifact.golang.locks import Lock, source

MODULE = "example.com/tiny"
TINY = Family(
    part="tiny",
    modules=(MODULE,),
    programs={"tiny": f"{MODULE}/cmd/small"},
    stamps={"main.version": "v{v}", "main.sum": "{sum}"},
)
PROGRAM = 'package main\n\nvar version, sum string\n\nfunc main() { print("tiny ", version, " ", sum, "\\n") }\n'
"""It imports nothing, so that only Go's runtime is compiled for it."""

TESTS = replace(
    TINY,
    part="tinytests",
    programs={"small.test": f"{MODULE}/cmd/small"},
    stamps={f"{MODULE}/cmd/small.version": "v{v}"},
    tests=True,
    lock="tiny",
)
"""Its tests, from the same lock: a program of their own, as Kubernetes' are."""
TEST = """package main

import (
\t"os"
\t"testing"
)

func TestMain(m *testing.M) { print("tests of ", version, "\\n"); os.Exit(0) }
"""


def serve(
    root: Path,
    version: str,
    *,
    module: str = MODULE,
    program: str = PROGRAM,
    test: str = TEST,
    go: str = "1.21",
    more: str = "",
) -> None:
    """Put a version of the module into a proxy below `root`, with `more` in its go.mod."""
    folder = root / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    mod = f"module {module}\n\ngo {go}\n{more}"
    (folder / f"v{version}.info").write_text(json.dumps({"Version": f"v{version}", "Time": "2026-01-01T00:00:00Z"}))
    (folder / f"v{version}.mod").write_text(mod)
    with zipfile.ZipFile(folder / f"v{version}.zip", "w") as archive:
        archive.writestr(f"{module}@v{version}/go.mod", mod)
        archive.writestr(f"{module}@v{version}/cmd/small/main.go", program)
        archive.writestr(f"{module}@v{version}/cmd/small/main_test.go", test)
    with (folder / "list").open("a") as names:
        names.write(f"v{version}\n")


def lock(folder: Path, version: str) -> Lock:
    """A lock of that version by the proxy's own word; nothing vouches for it, as nothing can."""
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(f"module quorate.local/tiny\n\ngo 1.21\n\nrequire {MODULE} v{version}\n")
    (folder / "tools.go").write_text(source(TINY))
    subprocess.run(["go", "mod", "tidy"], cwd=folder, check=True, capture_output=True)
    (folder / "tools.go").unlink()
    return Lock(folder)
