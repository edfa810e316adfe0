"""`quorate upgrade`: write another version into the cluster file, and show the way there."""

import stat
from pathlib import Path

from quorate import atomic
from quorate.artifact import source
from quorate.cli.output import Output
from quorate.cli.plan import show_plan
from quorate.core import LocalError, PlanError, SpecError, UsageError
from quorate.spec.cluster import Cluster
from quorate.spec.edit import with_kubernetes
from quorate.spec.load import load
from quorate.spec.versions import parts


async def upgrade_to(
    out: Output, file: Path, to: str, waivers: tuple[str, ...] = (), *, verbose: bool, json: bool
) -> int:
    """Show the plan of the file as it would be, and write it; a plan that is refused leaves the file as it is."""
    cluster = load(file)
    version = _release(to, cluster, file)
    if version != to.removeprefix("v") and not json:
        out.say(f"{to} is {version}: the newest release of it that {source.name(cluster)} has")
    content = file.read_bytes()
    # Beside the file, for what it names lies there.
    trial = file.with_name(f".{file.name}.upgrade")
    atomic.write(trial, with_kubernetes(content.decode("utf-8"), version).encode())
    try:
        try:
            load(trial)
        except SpecError as error:
            error.message = f"with Kubernetes {version}: {error.message}".replace(str(trial), str(file))
            raise
        nobody = frozenset[str]()
        code = await show_plan(out, trial, (), (), (), nobody, nobody, waivers, verbose=verbose, json=json)
        if code == PlanError.exit_code:
            return code
        _exchange(file, content, trial.read_bytes())
    finally:
        trial.unlink(missing_ok=True)
    if not json:
        was = cluster.versions.kubernetes
        out.say(f"{file} asks for Kubernetes {version} now, before for {was}: `quorate apply` goes there")
    return code


def _exchange(file: Path, known: bytes, content: bytes) -> None:
    """Write the file where it lies, with the rights that it has. Raises LocalError when somebody else has meanwhile."""
    place = file.resolve()
    if place.read_bytes() != known:
        raise LocalError(f"{file} was changed while the plan was made, and is left as it is", "run it again")
    atomic.write(place, content, mode=stat.S_IMODE(place.stat().st_mode))


def _release(to: str, cluster: Cluster, file: Path) -> str:
    """The release that is meant: of a minor the latest that the source is known to have. Raises UsageError."""
    count, beside = len(parts(to)), file.absolute().parent
    if count == 3:
        return to.removeprefix("v")
    minor = ".".join(map(str, parts(to)))
    if count != 2 or minor not in (known := source.patches(cluster, beside)):
        has = ", ".join(source.releases(cluster, beside)) or "none that it tells of"
        raise UsageError(
            f"--to {to}: {source.name(cluster)} has no release of it; it has {has}",
            "name one of these, or a release with its patch, such as 1.36.3, that it gets",
        )
    return known[minor]
