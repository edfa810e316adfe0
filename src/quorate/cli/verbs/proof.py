"""Verbs that say how a cluster is, and prove it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, BreakLock, File, Json, Svg, Yes
from quorate.core import UsageError


def status(*, file: File = DEFAULT_FILE, json: Json = False, svg: Svg = None) -> int:
    """Show the cluster on one screen: services, etcd, leaders, virtual IP, nodes, days left of certificates.

    Exit code 1 when something is not as it should be, 6 when no host answers.
    """
    from quorate.cli.output import Output, run
    from quorate.cli.status import show_status

    with Output(svg=svg, title="quorate status") as out:
        return run(show_status(out, file, json=json))


StopsServices = Annotated[
    bool, Parameter(name="--disruptive", help="Also stop services and move the virtual IP.", show_default=False)
]


def verify(
    *,
    file: File = DEFAULT_FILE,
    disruptive: StopsServices = False,
    yes: Yes = False,
    break_lock: BreakLock = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Prove that the cluster works, check by check. Exit code 8 when one fails.

    Checks that stop services or move the virtual IP run only with --disruptive, which asks first and holds the
    cluster's lock; they put everything back.
    """
    from quorate.cli.output import Output, demand_terminal, run
    from quorate.cli.verify import run_checks

    if disruptive and not yes:
        demand_terminal("verify --disruptive", "add --yes: it stops services, also a majority of etcd")
    with Output(svg=svg, title="quorate verify") as out:
        return run(run_checks(out, file, disruptive=disruptive, yes=yes, breaks=break_lock, json=json))


Full = Annotated[
    bool,
    Parameter(name="--full", help="All conformance tests, and tests of what quorate sets up.", show_default=False),
]
Focus = Annotated[str, Parameter(name="--focus", help="All tests whose name matches this regular expression.")]
Skip = Annotated[str, Parameter(name="--skip", help="Not those whose name matches this regular expression.")]
Serial = Annotated[
    bool, Parameter(name="--serial", help="Also tests that bear nothing beside them.", show_default=False)
]
StopsOthers = Annotated[
    bool, Parameter(name="--disruptive", help="Also tests that stop what others use.", show_default=False)
]
GoOn = Annotated[
    bool, Parameter(name="--go-on", help="Go on with the run of this choice that was stopped.", show_default=False)
]
Jobs = Annotated[int, Parameter(name="--jobs", help="Groups of tests at once.")]
E2e = Annotated[Path | None, Parameter(name="--e2e", help="The suite's e2e.test, instead of building it.")]
ReportFolder = Annotated[Path | None, Parameter(name="--output", help="Folder for JUnit and HTML.")]
Images = Annotated[
    Path | None,
    Parameter(
        name="--images",
        help="Only write the tests' images, of this machine's architecture, and their list to this folder.",
    ),
]


def conformance(
    *,
    file: File = DEFAULT_FILE,
    full: Full = False,
    focus: Focus = "",
    skip: Skip = "",
    serial: Serial = False,
    disruptive: StopsOthers = False,
    go_on: GoOn = False,
    jobs: Jobs = 3,
    e2e: E2e = None,
    images: Images = None,
    output: ReportFolder = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Run Kubernetes' own conformance tests, of the cluster's version, from this machine against the endpoint.

    By default the quick run: 30 tests over all areas. All that the tests make is taken away in the end, also after
    Ctrl-C, and what a killed run left before the next one. Exit code 8 when a test fails.
    """
    from quorate.cli.conformance import run_tests, write_images
    from quorate.cli.output import Output, demand_terminal, run
    from quorate.conformance.tests import Choice

    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least 1 is needed", "write a number, or leave --jobs out")
    if disruptive and not yes:
        demand_terminal("conformance --disruptive", "add --yes: it stops what others use")
    out = Output()
    if images is not None:
        return run(write_images(out, file, images, json=json))
    choice = Choice(full=full, focus=focus, serial=serial, disruptive=disruptive, skip=skip)
    return run(run_tests(out, file, choice, jobs, e2e, output, go_on=go_on, yes=yes, json=json))


FaultNames = Annotated[
    tuple[str, ...],
    Parameter(name="--fault", help="Only this fault; may be given again.", negative=(), show_default=False),
]
Runs = Annotated[int, Parameter(name="--runs", help="How often each fault is tried, at a random moment.")]
Seed = Annotated[int, Parameter(name="--seed", help="Where chance begins: moments and victims.")]
Every = Annotated[float, Parameter(name="--every", help="Seconds between two requests that read.")]
HtmlReport = Annotated[Path | None, Parameter(name="--html", help="Write the report as one HTML page.")]
JsonReport = Annotated[Path | None, Parameter(name="--output", help="Write the report as JSON.")]
EarlierReport = Annotated[Path | None, Parameter(name="--compare", help="An earlier report (JSON) to compare with.")]
ListOnly = Annotated[bool, Parameter(name="--list", help="Only name the faults and their goals.", show_default=False)]
Strict = Annotated[bool, Parameter(name="--strict", help="A goal that is missed is a failure.", show_default=False)]


def drill(
    *,
    file: File = DEFAULT_FILE,
    fault: FaultNames = (),
    runs: Runs = 1,
    seed: Seed = 0,
    every: Every = 0.02,
    html: HtmlReport = None,
    output: JsonReport = None,
    compare: EarlierReport = None,
    list_: ListOnly = False,
    strict: Strict = False,
    yes: Yes = False,
    break_lock: BreakLock = False,
    json: Json = False,
) -> int:
    """Break things on purpose, one after another, and measure from here what users of the API notice.

    Everything that is broken is healed, also after Ctrl-C; by a timer on its host if this process dies. Exit code 8
    when an acknowledged write was lost, something did not heal, or pods were started again though their host lived.
    """
    from quorate.cli.drill import list_faults, run_faults
    from quorate.cli.output import Output, demand_terminal, run

    out = Output()
    if list_:
        return list_faults(out, json=json)
    if not yes:
        demand_terminal("drill", "add --yes: it breaks things on purpose")
    return run(
        run_faults(
            out,
            file,
            fault,
            runs=runs,
            seed=seed,
            every=every,
            files=(html, output, compare),
            strict=strict,
            yes=yes,
            breaks=break_lock,
            json=json,
        )
    )
