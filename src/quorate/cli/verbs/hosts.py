"""Verbs that look at the hosts of a cluster and change them."""

from typing import Annotated

from cyclopts import Parameter

from quorate.cli.verbs.options import (
    DEFAULT_FILE,
    BreakLock,
    File,
    Hosts,
    Json,
    Limit,
    Only,
    Replace,
    Retry,
    Svg,
    Through,
    Until,
    Verbose,
    Waive,
    Without,
    Yes,
)

Reinstalled = Annotated[
    tuple[str, ...],
    Parameter(
        name="--replace", help="A host whose key may have changed: it was reinstalled.", negative=(), show_default=False
    ),
]


def trust(*, file: File = DEFAULT_FILE, yes: Yes = False, replace: Reinstalled = (), json: Json = False) -> int:
    """Show the hosts' SSH keys and pin new ones, after a yes. A changed key is refused without --replace HOST.

    Compare the fingerprints with those that the hosts print themselves: ssh-keygen -lf /etc/ssh/ssh_host_*.pub
    """
    from quorate.cli.output import Output, run
    from quorate.cli.trust import pin_keys

    return run(pin_keys(Output(), file, replace, yes=yes, json=json))


def plan(
    *,
    file: File = DEFAULT_FILE,
    only: Only = (),
    host: Hosts = (),
    limit: Limit = (),
    replace: Replace = (),
    without: Without = (),
    waive: Waive = (),
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Show what apply would change; changes nothing.

    All stages are shown, where there are several. --only and --host show a part of the plan, --limit and --without what
    an apply with them would do. Texts that change are shown as diffs, new ones with -v. Of an upgrade it also says what
    the preflight finds, without what --waive names. Exit code 0: no changes, 2: changes, 4: what was found is against
    an upgrade, 6: a host did not answer.
    """
    from quorate.cli.output import Output, run
    from quorate.cli.plan import show_plan

    with Output(svg=svg, title="quorate plan") as out:
        hosts = (only, host, limit, frozenset(replace), frozenset(without))
        return run(show_plan(out, file, *hosts, waive, verbose=verbose, json=json))


def upgrade(
    *,
    to: Annotated[str, Parameter(help="The release, as 1.37.2, or its minor: then the latest that quorate knows.")],
    file: File = DEFAULT_FILE,
    waive: Waive = (),
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Write another version of Kubernetes into the cluster file, and show the plan to get there; no host is touched.

    All else in the file stays as it is written. What no way leads to, and what the cluster is not well enough for, is
    refused, and the file stays as it was; else `quorate apply` goes the way that was shown. Exit codes are
    those of `quorate plan`.
    """
    from quorate.cli.output import Output, run
    from quorate.cli.upgrade import upgrade_to

    with Output(svg=svg, title="quorate upgrade") as out:
        return run(upgrade_to(out, file, to, waive, verbose=verbose, json=json))


def preflight(
    *,
    file: File = DEFAULT_FILE,
    replace: Replace = (),
    without: Without = (),
    waive: Waive = (),
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Check all hosts for what would break an apply: one script on each, side by side; changes nothing.

    Exit code 4 when a check fails that is not waived. Warnings, and what could not be checked, stop nothing.
    `apply` does the same before its first change.
    """
    from quorate.cli.output import Output, run
    from quorate.cli.preflight import check_hosts

    with Output(svg=svg, title="quorate preflight") as out:
        return run(check_hosts(out, file, frozenset(replace), frozenset(without), waive, json=json))


def apply(
    *,
    file: File = DEFAULT_FILE,
    yes: Yes = False,
    replace: Replace = (),
    without: Without = (),
    waive: Waive = (),
    through: Through = "",
    until: Until = "",
    limit: Limit = (),
    retry: Retry = False,
    break_lock: BreakLock = False,
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Make the hosts what the cluster file says: show the plan, ask, and go.

    What takes several stages (an endpoint that moves, hosts that leave) is shown whole and walked one after the other,
    each looked at anew; --through ends after one. With --limit only some hosts are changed, where nothing else must
    come first. With --until no host's turn is begun that would not end by then, as far as can be expected; what was
    begun is finished, and the rest is postponed (exit code 75). Interrupted, failed or postponed, the same command goes
    on where it stopped.
    Ctrl-C once lets running steps end, twice aborts. A host that was in the cluster and does not answer is left as it
    is (exit code 6 in the end); one that is not in the file any more leaves the cluster, and so does one that --without
    names, until it answers again: its member leaves etcd, and nobody sends it anything. Who runs it at the same time is
    refused (exit code 10): the lock is on the hosts, and free again 40 s after the last sign of life. Before the first
    change the hosts are checked (see `quorate preflight`); what fails stops it (exit code 4) unless waived. With --json
    each event is one line.
    """
    from quorate.cli.apply import walk
    from quorate.cli.output import Output, demand_terminal, run
    from quorate.cli.until import window

    ends = window(until)
    if not yes:
        demand_terminal("apply", "add --yes, or look first with `quorate plan`")
    with Output(svg=svg, title="quorate apply") as out:
        work = walk(
            out,
            file,
            frozenset(replace),
            frozenset(without),
            waive,
            through,
            limit,
            window=ends,
            retry=retry,
            yes=yes,
            breaks=break_lock,
            verbose=verbose,
            json=json,
        )
        return run(work)


def defrag(*, file: File = DEFAULT_FILE, yes: Yes = False, break_lock: BreakLock = False, json: Json = False) -> int:
    """Give back what is free inside etcd's stores: one member after the other, the leader last, each proven first.

    When a store is full (alarm NOSPACE), history is dropped before and the alarm cleared in the end. Members with
    little to give back are left alone. Refused while a member is not well, or its data are damaged (exit code 4). Exit
    code 7 when a member failed: the others were not touched, and the same command goes on.
    """
    from quorate.cli.defrag import defrag_members
    from quorate.cli.output import Output, demand_terminal, run

    if not yes:
        demand_terminal("defrag", "add --yes, or look first with `quorate status`")
    return run(defrag_members(Output(), file, yes=yes, breaks=break_lock, json=json))


ClusterName = Annotated[
    str, Parameter(name=("--yes", "-y"), help="The cluster's name, instead of typing it when asked.")
]
Forget = Annotated[
    tuple[str, ...],
    Parameter(name="--forget", help="A host that will never answer again.", negative=(), show_default=False),
]


def destroy(
    *,
    file: File = DEFAULT_FILE,
    yes: ClusterName = "",
    forget: Forget = (),
    limit: Limit = (),
    break_lock: BreakLock = False,
    json: Json = False,
) -> int:
    """Take the cluster away, with all its data, and leave the hosts as they were found.

    The state folder beside the file stays: its keys can make the same cluster again. Exit code 6 when a host did
    not answer, 7 when something could not be removed; the same command goes on. 10: another run holds the lock.
    A host that is dead for good ends it by --forget HOST; nothing is removed there, should it ever come back. With
    --limit only some workers are cleaned, and the next apply builds them anew; to have a host leave in good order, take
    it out of the file and apply.
    """
    from quorate.cli.destroy import destroy_cluster
    from quorate.cli.output import Output, demand_terminal, run

    if not yes:
        demand_terminal("destroy", "add --yes NAME, with the cluster's name")
    return run(destroy_cluster(Output(), file, yes, frozenset(forget), limit, breaks=break_lock, json=json))
