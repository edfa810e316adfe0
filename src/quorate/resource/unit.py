"""A systemd service: enabled, running, and running with the files that lie on the disk now."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Probe, State
from quorate.render.rest import at_rest
from quorate.render.sh import quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import LOADED, UNITS, WANTS


@dataclass(frozen=True, kw_only=True)
class Unit(Resource):
    """A service. What it has loaded is recorded by its own ExecStartPre, so a stale process is seen as such
    after a crash between write and restart, after a reboot and after a human's edit.
    """

    kind: ClassVar[str] = "unit"
    passive: ClassVar[bool] = False

    unit: str
    """Unit name with its suffix."""
    loads: tuple[str, ...] = ()
    """Files that the process reads at its start, the unit file included."""
    reload: bool = False
    """The service takes new configuration by a reload; a changed unit file still restarts it."""
    block: bool = True
    """Wait for the start to be reported (etcd's first member can't report before a second is there)."""
    fallback: str = field(default="", repr=False)
    """sh that says what became of it when it does not start again, see `render.fallback`."""
    guard: str = ""
    """sh that must succeed, within half a minute, before the running service may be stopped for a restart."""
    dependants: tuple[str, ...] = ()
    """Services of the host that use it: they rest while it restarts, in this order."""
    between: str = field(default="", repr=False)
    """sh that is run while it is at rest, before it starts with what is new; it starts though that fails."""

    @property
    def name(self) -> str:
        """Unit name."""
        return self.unit

    @property
    def service(self) -> str:
        """Its own."""
        return self.unit

    @property
    def desired(self) -> State:
        """Enabled, active, loaded what is there."""
        state = {"active": "active", "enabled": "enabled", "reload": "no"}
        return state | ({"loaded": "current"} if self.loads else {})

    def probe(self) -> Probe:
        """Ask systemd, and compare digests of loaded files."""
        return Probe("unit", self.unit)

    def parse(self, answer: str) -> State | None:
        """A service that nobody waits for counts when it is on its way; its Ready resource waits for it.

        One that reloads runs: nginx does so by itself when an API server comes or goes.
        """
        state = dict(super().parse(answer) or {})
        if state.get("active") == "reloading":
            state["active"] = "active"
        if not self.block and state.get("active") == "activating":
            state |= {"active": "active", "loaded": "current"}
        return state

    def converge(self, actual: State) -> Sequence[Action]:
        """Enable; restart (or reload) when stale, start when not running."""
        unit, record = quote(self.unit), quote(f"{LOADED}/{self.unit}.loaded")
        # What `systemctl enable` does, without its reload of all units, which costs a host a second in sum.
        own, wants = quote(f"{UNITS}/{self.unit}"), quote(f"{WANTS}/{self.unit}")
        how = "" if self.block else "--no-block "
        stale = f"! sha256sum -c --status -- {record} 2>/dev/null" if self.loads else "false"
        again = f"{self._may()}{self._alone(f'systemctl {how}restart {unit}')}"
        if self.reload:
            again = (
                f"if grep -F {own} {record} 2>/dev/null | sha256sum -c --status 2>/dev/null; "
                f"then systemctl {how}reload {unit}; else {again}; fi"
            )
        return [
            Action(
                f'if [ "$(systemctl show -p NeedDaemonReload --value -- {unit})" = yes ] || '
                # Not known yet, or known from a package: systemd does not see by itself that ours comes before it.
                f'[ "$(systemctl show -p FragmentPath --value -- {unit})" != {own} ]; '
                "then systemctl daemon-reload; fi\n"
                f"[ -L {wants} ] || ln -sfn -- {own} {wants}\n"
                f"case $(systemctl is-active {unit}) in {self._running()}) running=true;; *) running=false;; esac\n"
                f"if ! $running; then systemctl reset-failed {unit} 2>/dev/null || :; "
                f"{self._between()}systemctl {how}restart {unit}; changed\n"
                f"elif {stale}; then {again}; changed; fi{self._stopped()}"
            )
        ]

    def _running(self) -> str:
        """The states, as a pattern of sh, in which it is not started once more.

        What nobody waits for is on its way already when a joining member of etcd was started by its own step.
        """
        return "active|reloading" if self.block else "active|reloading|activating"

    def _stopped(self) -> str:
        """sh that waits for the stopping half of a restart that nobody waits for: it looks like a plain stop."""
        if self.block:
            return ""
        stops = f'[ "$(systemctl is-active {quote(self.unit)})" = deactivating ]'
        return f"\nn=0; while {stops} && [ $n -lt 450 ]; do n=$(( n + 1 )); sleep 0.2; done"

    def _may(self) -> str:
        """sh that waits until the guard lets the service be stopped, and fails when it does not."""
        if not self.guard:
            return ""
        return (
            f"n=0; until ( {self.guard}\n); do n=$(( n + 1 )); [ $n -lt 30 ] || "
            f"{{ echo {quote(f'{self.unit} may not be stopped now')} >&2; exit 1; }}; sleep 1; done\n"
        )

    def _alone(self, restart: str) -> str:
        """sh that restarts it with its dependants at rest: those that run are stopped before, and started after it."""
        if self.between:
            restart = f"{at_rest((self.unit,), self._between())}\nsystemctl start {quote(self.unit)}"
        return at_rest(self.dependants, restart) if self.dependants else restart

    def _between(self) -> str:
        return f"( {self.between}\n) || :\n" if self.between else ""

    def remove(self) -> Sequence[Action]:
        """Stop and disable it; the unit file goes by its own resource."""
        unit, wants = quote(self.unit), quote(f"{WANTS}/{self.unit}")
        return [
            Action(
                f"rm -f -- {wants}; systemctl stop {unit} 2>/dev/null || :\n"
                f"systemctl reset-failed {unit} 2>/dev/null || :\n"
                + sh("rm", "-f", "--", f"{LOADED}/{self.unit}.loaded")
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Stopped(Resource):
    """Services that shall not run now, in the order in which they stop; after a reboot they would start again."""

    kind: ClassVar[str] = "stopped"
    passive: ClassVar[bool] = False

    what: str
    units: tuple[str, ...]
    patience: int = 0
    """Seconds for each to stop in good order, before it is killed; 0: what its unit says."""

    @property
    def name(self) -> str:
        """What does not run."""
        return self.what

    @property
    def desired(self) -> State:
        """None of them runs."""
        return {"running": "none"}

    def probe(self) -> Probe:
        """Ask systemd."""
        units = " ".join(map(quote, self.units))
        running = "active|activating|reloading|deactivating"
        return Probe(
            "script",
            f"q=; for u in {units}; do\n"
            f'  case $(systemctl is-active -- "$u") in {running}) q="$q $u";; esac\n'
            'done; q=${q# }; echo "running=${q:-none}"',
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Stop them, one after the other."""
        return [Action("\n".join(map(self._stop, self.units)))]

    def _stop(self, unit: str) -> str:
        stop = sh("systemctl", "stop", "--", unit)
        if not self.patience:
            return stop
        return f"timeout {self.patience} {stop} || {{ {sh('systemctl', 'kill', '-s', 'KILL', '--', unit)}; {stop}; }}"

    def remove(self) -> Sequence[Action]:
        """Nothing to undo."""
        return []


@dataclass(frozen=True, kw_only=True)
class Ready(Resource):
    """A service that answers: one remote loop with a deadline. The gates between components are these."""

    kind: ClassVar[str] = "ready"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    what: str
    check: str
    """sh that succeeds when it is ready; it must end by itself within seconds, and change nothing."""
    proof: str = ""
    """sh that must succeed, too, after a change; it may write."""
    within: int = 60
    """Seconds until it counts as failed."""
    evidence: str = ""
    """sh that prints why it is not ready, for the error."""
    interval: float = 0.25
    own: bool = False
    """It tells of its own host alone: nothing on others waits for it."""
    fallback: str = field(default="", repr=False)
    """sh that fails when a judge on the host has found that what is waited for does not hold."""
    witnesses: tuple[tuple[str, str], ...] = ()
    """Other hosts that know something of it, each with the sh that prints it, for the error."""

    @property
    def name(self) -> str:
        """What is ready."""
        return self.what

    @property
    def may_take(self) -> int:
        """Until it counts as failed."""
        return self.within

    @property
    def desired(self) -> State:
        """Ready."""
        return {"ready": "yes"}

    def probe(self) -> Probe:
        """Check once."""
        return Probe("script", f"if ( {self.check}\n) >/dev/null 2>&1; then echo ready=yes; else echo ready=no; fi")

    @property
    def holds(self) -> str:
        """sh that succeeds when a change holds."""
        return f"( {self.check}\n) && ( {self.proof}\n)" if self.proof else f"( {self.check}\n)"

    def converge(self, actual: State) -> Sequence[Action]:
        """Wait."""
        return [
            Action(
                f"end=$(( $(date +%s) + {self.within} )) n=0\n"
                f"until {self._heard()}{{ {self.holds}; }} >/dev/null 2>&1; do\n"
                # The clock is asked now and then: a process for each look would be a load of its own.
                f'  n=$(( n + 1 )); if [ $(( n % 4 )) = 0 ] && [ "$(date +%s)" -ge "$end" ]; then '
                f"echo 'not ready after {self.within} s' >&2; "
                f"( {self.evidence or ':'}\n) >&2 2>&1 || :; exit 1; fi\n"
                f"  sleep {self.interval}\n"
                "done"
            )
        ]

    def _heard(self) -> str:
        """sh that comes before each look."""
        return f"{{ {self.fallback}\n}} && " if self.fallback else ""

    def remove(self) -> Sequence[Action]:
        """Nothing to undo."""
        return []
