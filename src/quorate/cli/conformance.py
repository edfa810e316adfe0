"""`quorate conformance`: Kubernetes' own conformance tests against the cluster."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from quorate import atomic
from quorate.artifact.cache import Cache
from quorate.artifact.root import default_cache
from quorate.artifact.suite import ARCHIVE, LIST, Suite, images, programs
from quorate.cli.connect import present_cluster
from quorate.cli.output import Output, busy, print_json
from quorate.conformance.program import Program
from quorate.conformance.result import Outcome, junit, plain
from quorate.conformance.tests import Choice
from quorate.conformance.whole import Whole, alone, conform
from quorate.core import ArtifactError, QuorateError, VerifyFailed
from quorate.procedure.kubeconfig import operator_kubeconfig
from quorate.report.conformance_page import page
from quorate.report.console import BAD, GOOD, NAME, QUIET
from quorate.report.event import Said
from quorate.spec.cluster import Cluster
from quorate.spec.load import load
from quorate.state.store import Store


async def write_images(out: Output, file: Path, folder: Path, *, json: bool) -> int:
    """Write the images of the tests, and their list, to a folder."""
    cluster = load(file)
    version, cache, beside = cluster.versions.kubernetes, Cache(default_cache() / "artifacts"), file.absolute().parent
    with busy(None if json else out, "making the images of the tests") as emit:

        def say(text: str) -> None:
            emit(Said(text))

        suite = await programs(version, cache, say, beside)
        missing = await images(version, suite, cache, say, beside, folder)
    if json:
        print_json({"archive": str(folder / ARCHIVE), "list": str(folder / LIST), "missing": missing})
        return 0
    out.say((f"{folder / ARCHIVE}: name it in artifacts.images, or push it to the registry of the cluster", ""))
    out.say((f"{folder / LIST}: all images by name; {len(missing)} of them are not made here", ""))
    return 0


async def run_tests(
    out: Output,
    file: Path,
    choice: Choice,
    jobs: int,
    e2e: Path | None,
    output: Path | None,
    *,
    go_on: bool,
    yes: bool,
    json: bool,
) -> int:
    """Run the chosen tests, `jobs` groups at once, and write what came of it to `output`, else to the state folder."""
    cluster = present_cluster(load(file), file)
    store = Store.beside(file, cluster.name)
    folder = store.path / "conformance"
    question = f"Disruptive tests stop what others use on {cluster.name}.  Go on?  Only yes does."
    if choice.disruptive and not yes and not await out.confirmed(question):
        raise QuorateError("not run", "without --disruptive nothing of others is stopped")
    try:
        (output or folder).mkdir(parents=True, exist_ok=True)
        with alone(folder), _kubeconfigs(cluster, store, folder) as (kubeconfig, servers):
            with busy(None if json else out, "conformance tests") as emit:

                def say(text: str) -> None:
                    emit(Said(text))

                suite = await _suite(cluster.versions.kubernetes, file, e2e, say)
                program = Program(suite.e2e, suite.kubectl, kubeconfig)
                result = await conform(program, folder, choice, servers=servers, go_on=go_on, jobs=jobs, say=say)
            _write_reports(cluster.name, result, output or folder)
    except OSError as error:
        path = error.filename or output or folder
        hint = "make room or name another --output; what has a result is kept for --go-on"
        raise QuorateError(f"{path}: {error.strerror}", hint) from error
    _print_result(out, cluster.name, result, output or folder, json=json)
    return 0 if result.good else VerifyFailed.exit_code


@contextmanager
def _kubeconfigs(cluster: Cluster, store: Store, folder: Path) -> Iterator[tuple[Path, Mapping[str, Path]]]:
    """Kubeconfigs of the endpoint and of each API server by its host's name, for as long as they are needed."""
    servers = {host.name: folder / f"kubeconfig-{host.name}" for host in cluster.masters}
    texts = {folder / "kubeconfig": operator_kubeconfig(cluster, store)}
    for host in cluster.masters:
        own = f"https://{host.ip}:{cluster.apiserver.port}"
        texts[servers[host.name]] = operator_kubeconfig(cluster, store, own)
    try:
        for path, text in texts.items():
            atomic.write(path, text.encode())
        yield folder / "kubeconfig", servers
    finally:
        for path in texts:
            path.unlink(missing_ok=True)


async def _suite(version: str, file: Path, e2e: Path | None, say: Callable[[str], None]) -> Suite:
    """The programs: those that are named, else built."""
    if e2e is None:
        return await programs(version, Cache(default_cache() / "artifacts"), say, file.absolute().parent)
    beside = e2e.with_name("kubectl")
    kubectl = beside if beside.exists() else which("kubectl")
    if kubectl is None:
        raise ArtifactError(f"there is no kubectl beside {e2e}, and none on this machine", "put it beside the e2e.test")
    return Suite(e2e.absolute(), Path(kubectl).absolute())


def _write_reports(cluster: str, result: Whole, folder: Path) -> None:
    """The page and the JUnit file. Raises OSError."""
    kinds = (Outcome.FAILED, Outcome.LEFT, Outcome.PASSED)
    rows = ([(each.name, each.seconds, each.reason, each.log) for each in result.of(kind)] for kind in kinds)
    facts = {
        "Kubernetes": result.session.version,
        "tests": _choice_text(result.session.choice),
        "test time": f"{sum(each.seconds for each in result.results):.0f} s, of several at once",
        "images": "whichever the cluster's hosts and registries gave under upstream's names: no certificate of anybody",
    }
    (folder / "conformance.html").write_text(page(cluster, facts, *rows), encoding="utf-8")
    (folder / "junit.xml").write_text(junit("conformance", result.results), encoding="utf-8")


def _print_result(out: Output, cluster: str, result: Whole, folder: Path, *, json: bool) -> None:
    """Say what came of it."""
    failed, left, passed = (result.of(each) for each in (Outcome.FAILED, Outcome.LEFT, Outcome.PASSED))
    again = [each for each in passed if each.reason]
    if json:
        print_json(
            {
                "cluster": cluster,
                "version": result.session.version,
                "ok": result.good,
                "passed": len(passed),
                "conformance": sum("[Conformance]" in each.name for each in passed),
                "again": [{"name": each.name, "reason": each.reason} for each in again],
                "failed": [plain(each) for each in failed],
                "left": [plain(each) for each in left],
                "stayed": list(result.stayed),
                "folder": str(folder),
            }
        )
        return
    for each in failed:
        out.say(("failed  ", BAD), each.name)
        out.say((f"        {each.reason}", QUIET))
    for each in again:
        out.say(("passed  ", GOOD), f"{each.name}, {each.reason}")
    for name in result.stayed:
        out.say(("stayed  ", BAD), f"namespace {name}")
    counts = f"{len(passed)} passed, {len(failed)} failed, {len(left)} not run"
    mark = f"bold {GOOD}" if result.good else BAD
    out.say((f"{cluster}: ", NAME), (counts, mark), (f"  {folder}/conformance.html", QUIET))


def _choice_text(choice: Choice) -> str:
    if choice.focus:
        return f"those that match {choice.focus}"
    return "all conformance tests, and tests of what quorate sets up" if choice.full else "a choice over all areas"
