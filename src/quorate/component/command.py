"""Command lines of programs, and the question whether one would start so, before that takes a running one's place.

No program of Kubernetes has a dry run, nor has etcd. But each reads and checks all that it was told before it opens one
certain file: there it is given a path that can't be opened, and says so. One that says anything else has a reason not
to start. It runs in a network of its own, where its ports are free and nobody hears it. kube-proxy, which can write its
configuration, ends with that.
"""

from collections.abc import Mapping
from dataclasses import replace

from quorate.render.sh import quote, sh
from quorate.resource.file import File
from quorate.spec.known import gates
from quorate.spec.layout import BIN

NOWHERE = "/dev/null/quorate"
"""What no program can open: its folder is none."""
WITHIN = 20
"""Seconds, of which a program takes a half. One that is slower has refused nothing, and is let through."""

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
    script = f"""\
systemctl is-active --quiet -- {quote(unit)} || return 0
q_alone= q_only=
if unshare -n true 2>/dev/null; then q_alone='unshare -n'; else q_only=--version; fi
q_rc=0; q_said=$(timeout {WITHIN} $q_alone {command} $q_only 2>&1) || q_rc=$?
case $q_rc:$q_said in 0:* | 124:* | *{quote(f"{NOWHERE}: not a directory")}*) return 0;; esac
{{
  echo {quote(f"{program} would not start with these settings, and goes on with those that it has:")}
  printf '%s\\n' "$q_said" | cut -c1-400 | sed -n '1,2p; $p' | uniq
}} >&2
return 1"""
    return replace(file, trial=script)
