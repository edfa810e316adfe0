"""The script that keeps nginx' list of API servers, among programs that do what a test says."""

import contextlib
import fcntl
import os
import signal
import subprocess
import termios
import time
from pathlib import Path

from waiting import within

from quorate.render import upstreams

A, B, C = (f"10.0.0.{n}:6443" for n in (1, 2, 3))
GOOD, BAD, REFUSED = "200:0.002:0", "500:0.002:0", "000:0.000210:0"
SILENT, HUNG, ABSENT = "000:0.300622:0", "000:0.200901:1", "000:0.200472:0"
CURL = """\
for url; do :; done
case $* in *' -V') exit $(cat "$0.old") ;; esac
at=${url#https://} at=${at%%/*}
case $* in
*%{stderr}*) while read -r said; do echo "$said" >&2; done ;;
*) read -r said; echo "$said" ;;
esac <>"$0.$at"
"""
SYSTEMCTL = """\
echo "$*" >>"$0.log"
sed s/^/.../ "${0%/*}/list" >>"$0.log"
[ ! -e "$0.fails" ]
"""


def up(*servers: str) -> str:
    return "".join(f"server {at} {'max_fails=0' if at in servers else 'down'};\n" for at in (A, B, C))


class Watch:
    """The script in a folder, with a curl, a systemctl and an ss of the test's."""

    def __init__(self, folder: Path, shell: tuple[str, ...], old: bool) -> None:
        self.folder, self.shell, self.list = folder, shell, folder / "list"
        for name, text in {"curl": CURL, "systemctl": SYSTEMCTL, "ss": 'echo "$*" >>"$0.log"', "sleep": ""}.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        (folder / "sleep").write_text('#!/bin/sh\n[ "$1" != infinity ] || exec /bin/sleep 60\n')
        (folder / "curl.old").write_text("2" if old else "0")
        for at in (A, B, C):
            os.mkfifo(folder / f"curl.{at}")
        self.pipes = {at: os.open(folder / f"curl.{at}", os.O_RDWR) for at in (A, B, C)}
        self.env = {"PATH": f"{folder}:/usr/bin:/bin"}
        self.running: list[subprocess.Popen[bytes]] = []
        self.serve(A, B, C)

    def serve(self, *servers: str) -> None:
        """The script for these API servers."""
        pairs = [(at.split(":")[0], 6443) for at in servers]
        (self.folder / "script").write_text(upstreams.script(pairs, "/list").replace("=/list", f"={self.list}"))

    def init(self) -> str:
        subprocess.run([*self.shell, str(self.folder / "script"), "init"], env=self.env, check=True)
        return self.list.read_text()

    def start(self) -> "Watch":
        argv = [*self.shell, str(self.folder / "script")]
        with (self.folder / "out").open("a") as out:
            self.running.append(subprocess.Popen(argv, env=self.env, stdout=out, stderr=out, start_new_session=True))
        return self

    def end(self) -> None:
        """As systemd does it, with all that it started."""
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        assert within(20, lambda: not self.states())
        self.running.clear()

    def close(self) -> None:
        """End it for good."""
        self.end()
        for pipe in self.pipes.values():
            os.close(pipe)

    def say(self, at: str, *answers: str) -> None:
        """What curl hears from a server, check by check."""
        os.write(self.pipes[at], "".join(f"{answer}\n" for answer in answers).encode())

    def states(self) -> dict[str, str]:
        """What the script's processes do, by process id: S sleeps, R runs."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = path.read_text().rpartition(")")[2].split()
                if int(words[3]) in {process.pid for process in self.running}:
                    found[path.parent.name] = words[0]
        return {pid: state for pid, state in found.items() if state != "Z"}

    def settle(self) -> None:
        """Wait until all that was said is read and thought over."""
        quiet = 0
        while quiet < 5:
            unread = any(any(fcntl.ioctl(pipe, termios.FIONREAD, b"0000")) for pipe in self.pipes.values())
            quiet = quiet + 1 if not unread and set(self.states().values()) <= {"S"} else 0
            time.sleep(0.01)

    def said(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def has(self, *servers: str) -> bool:
        """Whether the list soon says so, and nginx took it over in that form."""
        shown = "".join(f"...{line}\n" for line in up(*servers).splitlines())
        taken = f"reload nginx.service\n{shown}"
        return within(20, lambda: self.said("list") == up(*servers) and self.said("systemctl.log").endswith(taken))

    def reloads(self) -> int:
        return self.said("systemctl.log").count("reload nginx.service")

    def stays(self) -> bool:
        """Whether nothing more happens."""
        before = self.reloads(), self.said("list")
        self.settle()
        return before == (self.reloads(), self.said("list"))
