"""Programs that stand first in PATH instead of those that would break this machine; each notes how it was called."""

import os
import subprocess
from pathlib import Path

SSH = "10.9.0.9 40000 10.9.0.1 22"
"""Where the operator comes from: address and port of each side."""

NFT = """
case "$*" in
'list tables') ;;
'-f -') read -r a family name; cat >"$STATE/$family"; [ -s "$STATE/$family" ] ;;
'list table '*) [ -e "$STATE/$3" ] ;;
'delete table '*) [ -e "$STATE/$3" ] && rm "$STATE/$3" ;;
*) exit 9 ;;
esac
"""
IPTABLES = """
me=${0##*/}
[ "$1 $2 $3" = '-w -t raw' ] || exit 9
shift 3
case $1 in
-L) if [ "$2" = -n ]; then :; else [ -e "$STATE/$me-$2" ]; fi ;;
-N) [ ! -e "$STATE/$me-$2" ] && : >"$STATE/$me-$2" ;;
-F) [ -e "$STATE/$me-$2" ] && : >"$STATE/$me-$2" ;;
-X) rm "$STATE/$me-$2" ;;
-A) [ -e "$STATE/$me-$2" ] && echo "$*" >>"$STATE/$me-$2" ;;
-C) [ -e "$STATE/$me-jump-$2" ] ;;
-I) [ ! -e "$STATE/$me-jump-$2" ] && : >"$STATE/$me-jump-$2" ;;
-D) [ -e "$STATE/$me-jump-$2" ] && rm "$STATE/$me-jump-$2" ;;
*) exit 9 ;;
esac
"""
TC = """
case $2 in
add) echo "qdisc netem 7d1: dev $4 root refcnt 2 limit 1000 delay 100ms" >"$STATE/qdisc" ;;
show) echo 'qdisc noqueue 0: dev lo root refcnt 2'; cat "$STATE/qdisc" ;;
del) rm "$STATE/qdisc" ;;
esac
"""
SYSTEMD_RUN = 'for last; do :; done; printf %s "$last" >"$STATE/timer"; [ "${*%"$last"}" ]'
SYSTEMCTL = """
case "$*" in
'show -p MainPID'*) echo "MainPID=$(cat "$STATE/main")" ;;
'kill -s CONT'*) exit 1 ;;
*".timer") rm -f "$STATE/timer" ;;
esac
"""


class Box:
    """Programs of our own first in PATH, a log of their arguments, and what they keep."""

    def __init__(self, folder: Path) -> None:
        self.state, self.bin = folder / "state", folder / "bin"
        self.log = folder / "log"
        self.state.mkdir()
        self.bin.mkdir()
        self.env = {**os.environ, "STATE": str(self.state), "PATH": f"{self.bin}:/usr/bin:/bin", "SSH_CONNECTION": SSH}
        self.put("systemd-run", SYSTEMD_RUN)
        self.put("systemctl", SYSTEMCTL)

    def put(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{body}\n')
        path.chmod(0o755)

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", script], env=self.env, text=True, capture_output=True, timeout=30, check=False
        )

    def kept(self) -> set[str]:
        return {path.name for path in self.state.iterdir()}

    def logged(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def nft(box: Box) -> None:
    box.put("nft", NFT)


def iptables(box: Box) -> None:
    box.put("nft", "exit 1")
    box.put("iptables", IPTABLES)
    box.put("ip6tables", IPTABLES)
