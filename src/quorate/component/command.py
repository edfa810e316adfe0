"""Command lines of programs, and how one is told to end before it has touched anything (see `render.trial`)."""

from collections.abc import Mapping
from dataclasses import replace

from quorate.render import trial
from quorate.render.sh import sh
from quorate.render.trial import NOWHERE
from quorate.resource.file import File
from quorate.spec.known import gates
from quorate.spec.layout import BIN

_ALONE = {"bind-address": "0.0.0.0"}
LAST: Mapping[str, Mapping[str, str]] = {
    # Up to 1.23 it waits first until the first of the servers answers, unless that has no port.
    "kube-apiserver": {
        **_ALONE,
        "etcd-servers": "https://127.0.0.1:0",
        "etcd-cafile": NOWHERE,
        "audit-log-path": "/dev/null",
    },
    "kube-controller-manager": {**_ALONE, "authorization-kubeconfig": NOWHERE},
    "kube-scheduler": {**_ALONE, "authorization-kubeconfig": NOWHERE},
    "kubelet": {"kubeconfig": NOWHERE},
    "kube-proxy": {"write-config-to": "/dev/null"},
    "etcd": {"data-dir": NOWHERE},
}
"""By program: the flags with which it ends before it has touched anything."""
_PEERS = "UnknownVersionInteroperabilityProxy"
"""With this gate an API server opens etcd before it has read what its admission plugins are told."""


def arguments(flags: Mapping[str, str]) -> list[str]:
    """Flags by name as arguments."""
    return [f"--{name}={value}" for name, value in flags.items()]


def tried(file: File, unit: str, program: str, flags: Mapping[str, str], version: str, *, flag: str = "") -> File:
    """The file, with the question before it is put in its place; `flag` is the one that names it to the program.

    `version` is Kubernetes'. The unit's own file is named by no flag. Nothing is asked where the service does not run:
    a wrong setting can stop nothing there, and the proof that follows tells of it.
    """
    given = {**flags, **LAST[program]}
    if program == "kube-apiserver" and " on" in (gates("kubernetes").at(version) or {}).get(_PEERS, ""):
        given["feature-gates"] = ",".join(filter(None, [flags.get("feature-gates", ""), f"{_PEERS}=false"]))
    words = arguments({name: value for name, value in given.items() if name != flag})
    command = sh(f"{BIN}/{program}", *words) + (f' --{flag}="$1"' if flag else "")
    return replace(file, trial=trial.script(unit, program, command))
