"""`quorate upgrade`: write another version into the cluster file, and show the way there."""

from pathlib import Path

from quorate import atomic
from quorate.artifact.golang import locks
from quorate.cli.output import Output
from quorate.cli.plan import show_plan
from quorate.core import PlanError, SpecError, UsageError
from quorate.spec.edit import with_kubernetes
from quorate.spec.load import load
from quorate.spec.versions import parts


async def upgrade_to(
    out: Output, file: Path, to: str, waivers: tuple[str, ...] = (), *, verbose: bool, json: bool
) -> int:
    """Show the plan of the file as it would be, and write it; a plan that is refused leaves the file as it is."""
    was = load(file).versions.kubernetes
    version = _release(to, file)
    text = file.read_text(encoding="utf-8")
    # Beside the file, for what it names lies there.
    trial = file.with_name(f".{file.name}.upgrade")
    atomic.write(trial, with_kubernetes(text, version).encode())
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
        atomic.write(file, trial.read_bytes())
    finally:
        trial.unlink(missing_ok=True)
    if not json:
        out.say(f"{file} asks for Kubernetes {version} now, before for {was}: `quorate apply` goes there")
    return code


def _release(to: str, file: Path) -> str:
    """The release that is meant: of a minor the latest that quorate knows. Raises UsageError."""
    count = len(parts(to))
    if count == 3:
        return to.removeprefix("v")
    known = [each for each in locks.kubernetes(file.absolute().parent) if parts(each)[:count] == parts(to)]
    if count != 2 or not known:
        raise UsageError(f"--to {to}: no release of it is known", "name one with its patch, such as 1.36.3")
    return known[-1]
