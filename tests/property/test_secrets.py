"""No secret of a cluster shows: not in a plan, not in an error, event or journal of a host that echoes what it got."""

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from staging import compile_cluster
from worlds import secrets, supply

from quorate.component.context import Context
from quorate.core import Blob, CommandFailed, Key, State
from quorate.execute import batch
from quorate.execute.apply import Executor
from quorate.plan import describe
from quorate.plan.discreet import hide
from quorate.plan.show import show
from quorate.plan.step import Plan, Step
from quorate.report import jsonl
from quorate.report import plan as report
from quorate.report.event import Event
from quorate.resource.file import File
from quorate.resource.kube import Manifest
from quorate.resource.resource import Resource
from quorate.spec.facts import Facts, HostFacts
from quorate.spec.load import load
from quorate.spec.logins import HIDDEN
from quorate.spec.versions import table
from quorate.state import journal
from quorate.state.store import Store
from quorate.state.subnets import Subnets, allocate

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def context_of(example: Path) -> Context:
    cluster = load(example)
    facts = Facts(hosts={host.name: HostFacts() for host in cluster.hosts})
    if cluster.network.cni == "routed":
        facts = replace(facts, pod_cidrs=allocate(cluster, Subnets({}, {})).given)
    version = cluster.versions.kubernetes
    return Context(cluster, facts, supply(version, cluster.runtime.kind, True), secrets(cluster), table(version))


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def context(request: pytest.FixtureRequest) -> Context:
    return context_of(request.param)


@pytest.fixture(scope="module")
def resources(context: Context) -> list[Resource]:
    return list(compile_cluster(context).resources)


def known(context: Context) -> set[str]:
    """Every secret in every form: as it is, in base64 and in hex; of keys also each line, and the bytes within."""
    found: set[str] = set()
    for name, pem in context.secrets.pems.items():
        if name.endswith(".key"):
            body = pem.decode().splitlines()[1:-1]
            der = base64.b64decode("".join(body))
            found |= {*body, base64.b64encode(pem).decode(), pem.hex(), der.hex(), base64.b64encode(der).decode()}
    for name, text in context.secrets.random.items():
        if name != "etcd-token":
            found |= {text, base64.b64encode(text.encode()).decode(), text.encode().hex()}
    # The end of an elliptic key is its public half, which stands in its certificate just so.
    public = "".join(pem.decode() for name, pem in context.secrets.pems.items() if not name.endswith(".key"))
    return {secret for secret in found if secret not in public}


def shows(text: str, known: Iterable[str]) -> list[str]:
    return [secret for secret in known if secret in text]


def test_the_search_itself_finds(context: Context) -> None:
    secrets = known(context)
    assert len(secrets) > 40
    assert shows(context.secrets.text("ca.key"), secrets)
    assert shows(context.secrets.random["encryption-key"], secrets)


def test_what_holds_a_secret_is_for_its_owner_alone(context: Context, resources: list[Resource]) -> None:
    secrets = known(context)
    held = 0
    for resource in resources:
        if isinstance(resource, File):
            mine = shows(resource.content, secrets)
            assert bool(mine) <= resource.secret, f"{resource.key} holds a secret and does not say so"
            if resource.secret:
                held += 1
                assert resource.mode in ("0600", "0400"), f"{resource.key} has mode {resource.mode}"
                assert resource.desired["mode"] == resource.mode, "a wider mode would be no drift"
        for action in resource.converge({}):
            assert action.secret or not shows(action.script, secrets), f"{resource.key} does not say that it is secret"
            if shows(action.script, secrets):
                assert resource.secrets, f"{resource.key} has nothing to hide"
        orders = "".join(action.script for action in resource.remove())
        assert not shows(f"{resource!r}{resource.desired}{resource.probe()}{orders}", secrets), resource.key
    assert held >= 10


def test_no_output_of_a_plan_shows_one(context: Context, resources: list[Resource]) -> None:
    """As text, in full, as JSON; on bare hosts, and where each file has another content that is a secret itself."""
    secrets = known(context)
    needs = {resource.key: frozenset[Key]() for resource in resources}
    parts = {resource.key: "part" for resource in resources}
    other: State = {"sha256": "0" * 64, "mode": "0777", "owner": "nobody:nogroup", "type": "file"}
    leaked = {resource.key: context.secrets.text("ca.key") for resource in resources if isinstance(resource, File)}
    for state in (None, {}, other):
        plan = Plan({resource.key: Step(resource, state) for resource in resources}, needs, component_of=parts)
        shown = show(plan, leaked if state is other else {}, lambda blob: blob.size)
        stream = io.StringIO()
        console = Console(file=stream, width=400, force_terminal=False)
        report.lines(console, shown, {}, verbose=True)
        report.overview(console, shown, {})
        report.notes(console, shown, verbose=True)
        said = stream.getvalue() + json.dumps(shown.as_dict()) + repr(shown) + repr(plan)
        for step in plan.steps.values():
            said += f"{describe.name(step)}{describe.kind(step)}{describe.detail(step)}"
            said += "".join(describe.diff(step, leaked.get(step.key)))
        assert len(said) > 10_000
        assert not shows(said, secrets)
    assert not shows(repr(context), secrets)


WAYS: dict[str, Callable[[str], str]] = {
    "as it came": lambda script: script,
    "line by line": lambda script: "".join(f"+ {line}\n" for line in script.splitlines()),
    "base64": lambda script: base64.b64encode(script.encode()).decode(),
    "base64 in lines": lambda script: base64.encodebytes(f"x{script}".encode()).decode(),
    "hex": lambda script: script.encode().hex(),
    "quoted": repr,
}
"""How a host may echo what it was sent: `sh -v`, a forced command that logs, audit records."""


class Echo:
    """A host that fails the first step of every script, and says all of the script as the reason."""

    def __init__(self, way: Callable[[str], str], *, breaks: bool) -> None:
        self._way, self._breaks = way, breaks
        self.echoed = ""

    async def run(
        self,
        host: str,
        script: str,
        *,
        blob: Blob | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> str:
        said = self._way(script)
        self.echoed += said
        if self._breaks or blob is not None:
            raise CommandFailed("command failed", host=host, code=1, stdout=said, stderr=said)
        return f"{batch.BEGIN}0\n{said}\n{batch.END}0 1\n{batch.LOOK}\n"

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("breaks", [False, True], ids=["step fails", "script fails"])
@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_echoes_tells_nobody(
    context: Context, resources: list[Resource], way: str, breaks: bool, tmp_path: Path
) -> None:
    """Each step of the control plane fails in turn; events, outcome, journal and error are searched."""
    secrets = known(context)
    master = context.cluster.masters[0].name
    mine = [
        resource
        for resource in resources
        if resource.host == master and (resource.secrets or not resource.key.name.startswith("/"))
    ]
    steps = {resource.key: Step(resource, {}) for resource in mine}
    plan = Plan(steps, dict.fromkeys(steps, frozenset[Key]()), component_of=dict.fromkeys(steps, "part"))
    events: list[Event] = []
    echo = Echo(WAYS[way], breaks=breaks)
    with journal.run(Store(tmp_path / ".quorate/c"), "apply") as run:
        outcome = asyncio.run(Executor(plan, echo, run.also(events.append)).run())
    assert len(outcome.failed) > 15
    if way == "as it came":
        assert shows(echo.echoed, secrets), "the host had nothing to tell"
    lines = io.StringIO()
    for event in events:
        jsonl.to(lines)(event)
    written = (tmp_path / ".quorate/c/journal.jsonl").read_text()
    said = f"{outcome} {events!r} {lines.getvalue()} {written}"
    assert HIDDEN in said
    assert not shows(said, secrets)


@pytest.mark.parametrize(
    "text",
    ["/etc/kubernetes/pki/apiserver-kubelet-client.key: not written; 0 bytes are free on /", "exit code 1", "a" * 40],
)
def test_other_words_stay(context: Context, text: str) -> None:
    contents = [*map(bytes.decode, context.secrets.pems.values()), *context.secrets.random.values()]
    assert hide(text, contents) == text


def test_manifests_say_what_they_hold(resources: list[Resource]) -> None:
    held = [resource for resource in resources if isinstance(resource, Manifest) and resource.credential]
    assert held
    assert all(resource.credential in resource.secrets for resource in held)
