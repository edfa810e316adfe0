"""What can be broken on a host, and how it is healed: scripts as data. Values enter them only by `sh` and `quote`."""

from collections.abc import Sequence

from quorate.execute.outage import Injection
from quorate.render.drill import packets
from quorate.render.drill.packets import Drop
from quorate.render.sh import quote, sh
from quorate.spec.cluster import Host


def killed(host: Host, unit: str) -> Injection:
    """The main process ends by signal 9; systemd finds out."""
    pid = f"$({sh('systemctl', 'show', '-p', 'MainPID', unit)} | sed -n 's/^MainPID=//p')"
    alive = f'q_pid={pid}\nif [ "${{q_pid:-0}}" -le 1 ]; then echo {quote(f"{unit} does not run")} >&2; exit 1; fi'
    return Injection(host, 'kill -KILL "$q_pid"', _started(unit), prepare=alive, unit=unit)


def killed_whole(host: Host, unit: str) -> Injection:
    """Every process of the service ends by signal 9."""
    return Injection(host, sh("systemctl", "kill", "-s", "KILL", unit), _started(unit), unit=unit)


def hung(host: Host, unit: str) -> Injection:
    """Every process of the service stands still; its connections stay, and the kernel goes on accepting new ones."""
    return Injection(host, sh("systemctl", "kill", "-s", "STOP", unit), _started(unit), unit=unit)


def terminated(host: Host, unit: str) -> Injection:
    """The service is told to end, and starts again, as when its settings change."""
    return Injection(host, sh("systemctl", "restart", "--no-block", unit), _started(unit), unit=unit)


def stopped(host: Host, unit: str) -> Injection:
    """The service ends and stays so."""
    return Injection(host, sh("systemctl", "stop", "--no-block", unit), _started(unit), unit=unit)


def _started(unit: str) -> str:
    """sh that lets a service run on, whatever became of it."""
    return (
        f"{sh('systemctl', 'kill', '-s', 'CONT', unit)} 2>/dev/null\n"
        f"{sh('systemctl', 'reset-failed', unit)} 2>/dev/null\n"
        f"{sh('systemctl', 'start', '--no-block', unit)}"
    )


def cut(host: Host) -> Injection:
    """Nobody reaches the host any more, as without power or cable; its processes live, and can be asked by SSH."""
    return _dropped(host, Drop(), cut=True)


def apart(host: Host, others: Sequence[Host]) -> Injection:
    """Nothing passes between the host and the others."""
    return _dropped(host, Drop(_ips(host, others)))


def deaf(host: Host, others: Sequence[Host]) -> Injection:
    """The host gets nothing from the others; what it sends to them arrives."""
    return _dropped(host, Drop(_ips(host, others), out=False))


def lossy(host: Host, percent: int) -> Injection:
    """Some of the host's packets are lost, in both directions."""
    return _dropped(host, Drop(percent=percent))


def slow(host: Host, milliseconds: int, jitter: int = 0) -> Injection:
    """All that the host sends is late, by up to `jitter` milliseconds more or less."""
    prepare, begin = packets.delay(milliseconds, host.ip, jitter)
    return Injection(host, begin, packets.HASTEN, prepare=prepare)


def _dropped(host: Host, what: Drop, *, cut: bool = False) -> Injection:
    prepare, begin = packets.drop(what)
    return Injection(host, begin, packets.RESTORE, prepare=prepare, cut=cut)


def _ips(host: Host, others: Sequence[Host]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(other.ip for other in others if other.ip != host.ip))
