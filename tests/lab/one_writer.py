"""Two applies at once, and one whose holder was killed: for any deployed cluster, changed or not."""

import signal
import subprocess
import sys
import time

from crashes import COUNT
from deployed import LIMIT, Deployed

RACES = max(2, min(20, COUNT // 2))
"""How often two are started together."""
FREE = 60.0
"""Seconds after which the lock of a killed holder must be free for somebody on another machine."""
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Another machine, as far as the lock can tell: what runs here can't be seen from there."""
WORK = "systemctl stop kubelet kube-proxy 2>/dev/null || :"
"""So that there is something to do, where there is a cluster already."""
HELD = "cat /run/quorate-lock/holder 2>/dev/null || :"


def start(deployed: Deployed, *words: str, elsewhere: bool = False) -> "subprocess.Popen[str]":
    """The tool at work."""
    argv = [*(ELSEWHERE if elsewhere else ()), sys.executable, "-m", "quorate", *words, "-f", str(deployed.file)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def words(text: str) -> str:
    """Without line breaks: the console folds what is long."""
    return " ".join(text.split())


def free(deployed: Deployed) -> None:
    """Nothing is left of a lock on any host."""
    left = deployed.run("ls -d /run/quorate-lock 2>/dev/null || :")
    assert not any(left.values()), left


def exactly_one_works(deployed: Deployed, *, elsewhere: bool = False) -> None:
    """Two are started together, RACES times: one exits 0, the other 10 and names it by its pid."""
    for race in range(RACES):
        # On a busy machine one could be over before the other begins.
        deployed.run(WORK)
        both = [start(deployed, "apply", "--yes", elsewhere=elsewhere and number == 1) for number in (0, 1)]
        said = [process.communicate(timeout=LIMIT) for process in both]
        codes = [process.returncode for process in both]
        assert sorted(codes) == [0, 10], (codes, said)
        winner, loser = codes.index(0), codes.index(10)
        error = said[loser][1]
        assert "locked by " in error
        assert ", apply for " in error
        if not elsewhere:
            assert f", pid {both[winner].pid}, " in error
        print(f"race {race}: number {winner} worked; the other: {error.splitlines()[0]}")
        free(deployed)


def held(deployed: Deployed, process: "subprocess.Popen[str]", within: float = 60.0) -> None:
    """Wait until a run has the lock: the first host is first, so the last one tells."""
    end, last = time.monotonic() + within, max(host.name for host in deployed.cluster.hosts)
    while not deployed.run(HELD, last)[last]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.2)


def killed_while_it_works(deployed: Deployed) -> None:
    """Start an apply that has something to do, and kill it, as a power cut would, when it holds the lock."""
    deployed.run(WORK)
    process = start(deployed, "apply", "--yes")
    try:
        held(deployed, process)
    finally:
        process.kill()
        process.communicate()


def a_killed_holder_is_free_in_time(deployed: Deployed) -> None:
    """From another machine: refused at first, let in within FREE seconds; nothing is left to do after it."""
    killed_while_it_works(deployed)
    began = time.monotonic()
    refused = 0
    while True:
        process = start(deployed, "apply", "--yes", elsewhere=True)
        said = process.communicate(timeout=LIMIT)
        if process.returncode == 0:
            break
        assert process.returncode == 10, said
        assert "last sign of life" in said[1]
        refused += 1
        assert time.monotonic() - began < FREE, said
        time.sleep(1)
    assert refused, "the lock was not even held"
    assert "took over the lock of " in words(said[0])
    print(f"refused {refused} times, let in before {time.monotonic() - began:.0f} s")
    free(deployed)
    deployed.quorate("plan", code=0)


def a_killed_holder_is_known_on_its_own_machine(deployed: Deployed) -> None:
    """The same command, at once, on the machine where it was killed, goes on."""
    killed_while_it_works(deployed)
    assert "which has ended" in words(deployed.quorate("apply", "--yes").stdout)
    free(deployed)


def a_broken_lock_stops_its_holder(deployed: Deployed) -> None:
    """Somebody elsewhere takes it from a holder that lives: that one changes nothing more, and says why."""
    deployed.run(WORK)
    first = start(deployed, "apply", "--yes")
    held(deployed, first)
    # As a laptop that is closed: it comes back when all is over, and still believes that it is the only one.
    first.send_signal(signal.SIGSTOP)
    second = start(deployed, "apply", "--yes", "--break-lock", elsewhere=True)
    others = second.communicate(timeout=LIMIT)
    assert second.returncode == 0, others
    deployed.run(WORK)
    first.send_signal(signal.SIGCONT)
    said = first.communicate(timeout=LIMIT)
    assert first.returncode in (7, 10), said
    assert "the lock was lost to " in words("".join(said))
    free(deployed)
    # What it would have started is still stopped.
    deployed.quorate("plan", code=2)
    deployed.quorate("apply", "--yes")
    deployed.quorate("plan", code=0)
