"""Verbs that take backups, prove them, and go back to one."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quorate.cli.verbs.options import (
    DEFAULT_FILE,
    BreakLock,
    File,
    Identity,
    Json,
    PassphraseFrom,
    Replace,
    Retry,
    Svg,
    Verbose,
    Waive,
    Without,
    Yes,
)

To = Annotated[
    Path | None, Parameter(name="--to", help="The folder on this machine, instead of the cluster file's own.")
]


def backup(*, file: File = DEFAULT_FILE, to: To = None, json: Json = False) -> int:
    """Take a backup of etcd's data with all keys that read it, sealed, and bring it to this machine and all places.

    A member's host takes the snapshot and restores it in a throw-away etcd before anything is sent; nothing of the
    cluster is changed. It is there whole or not at all. It needs a passphrase (`quorate passphrase`) or recipients.
    Exit code 1 when a place could not take it.
    """
    from quorate.cli.backup import take_one
    from quorate.cli.output import Output, run

    return run(take_one(Output(), file, to, json=json))


def list_(*, file: File = DEFAULT_FILE, to: To = None, json: Json = False) -> int:
    """List the backups, the newest first: when, from where, how large, how far proved. Etcd hosts that take backups by
    themselves are asked as well.
    """
    from quorate.cli.backup_list import list_backups
    from quorate.cli.output import Output, run

    return run(list_backups(Output(), file, to, json=json))


Name = Annotated[str, Parameter(help="Name of the backup, as listed (default: the newest).")]
Level = Annotated[
    Literal[1, 2],
    Parameter(name="--level", help="1: restore it and count; 2: read all of it through an API server, too."),
]


def prove(
    name: Name = "",
    /,
    *,
    file: File = DEFAULT_FILE,
    to: To = None,
    level: Level = 2,
    identity: Identity = None,
    passphrase_from: PassphraseFrom = None,
    json: Json = False,
) -> int:
    """Prove a backup on this machine: restore it into a throw-away etcd, count, and read it through an API server.

    Every resource is listed with the saved keys, so every Secret was decrypted. Nothing of the cluster is asked. What
    was proved is written beside the backup, wherever it lies. Exit code 8 when it could not be restored.
    """
    from quorate.cli.backup_prove import prove_one
    from quorate.cli.output import Output, run

    return run(prove_one(Output(), name, file, to, level, identity, passphrase_from, json=json))


NameOrFile = Annotated[str, Parameter(help="Name of the backup, as `quorate backup list` has it, or its file.")]
From = Annotated[
    Path | None, Parameter(name="--from", help="The folder on this machine where backups lie, instead of the file's.")
]
RollBack = Annotated[
    bool,
    Parameter(
        name="--roll-back",
        help="Give up what was written since, though etcd works or a member has newer data.",
        show_default=False,
    ),
]

GiveUp = Annotated[
    bool,
    Parameter(
        name="--give-up",
        help="Take back a restore that has begun: what stands still starts again, on its old data.",
        show_default=False,
    ),
]
AsClone = Annotated[
    bool,
    Parameter(
        name="--as-clone",
        help="End when API servers serve: without webhooks, kubelets and controllers a copy does not act.",
        show_default=False,
    ),
]

Objects = Annotated[
    tuple[str, ...],
    Parameter(
        name="--objects",
        help="Only read these out of it, as NAMESPACE:KIND/NAME; without a name all of the kind.",
        negative=(),
        show_default=False,
    ),
]
Out = Annotated[
    Path | None, Parameter(name=("--out", "-o"), help="The file for --objects (mode 0600), for `kubectl create -f`.")
]


def restore(
    name: NameOrFile = "",
    /,
    *,
    file: File = DEFAULT_FILE,
    from_: From = None,
    roll_back: RollBack = False,
    give_up: GiveUp = False,
    as_clone: AsClone = False,
    objects: Objects = (),
    out: Out = None,
    yes: Yes = False,
    replace: Replace = (),
    without: Without = (),
    waive: Waive = (),
    retry: Retry = False,
    break_lock: BreakLock = False,
    identity: Identity = None,
    passphrase_from: PassphraseFrom = None,
    verbose: Verbose = False,
    json: Json = False,
    svg: Svg = None,
) -> int:
    """Take the cluster back to a backup: show all stages and what is lost, ask, and go.

    New data are made on all members beside the old ones, while the cluster still runs. Then everything that writes is
    stopped behind fences, which a reboot does not open, the data are exchanged, and etcd, API servers, the endpoint,
    kubelets and controllers come back in that order. Old data stay on the hosts, in folders `before-TIME` of etcd's.
    Interrupted or failed, the same command goes on where it stopped, and so does `quorate apply` once all members have
    the new data; until a member has them, --give-up takes it back. All hosts but workers must answer; dead ones are
    left out by --without. At the end a new backup is taken. A backup that is damaged, of another cluster, of other
    versions or of other keys is refused before anything is changed (exit code 4).

    With --as-clone it ends when API servers serve, on their own ports and without webhooks; `quorate apply` goes on
    from there, and makes it a cluster that acts.

    With --objects the cluster is not touched: objects are read out of the backup, on this machine, by a throw-away API
    server, and written to a file from which `kubectl create -f` makes them anew.
    """
    from quorate.cli.output import Output, demand_terminal, run
    from quorate.cli.restore import Asked, give_up_restore, read_objects, restore_backup

    if not (yes or objects):
        demand_terminal("restore", "add --yes")
    with Output(svg=svg, title="quorate restore") as console:
        opens = (identity, passphrase_from)
        asked = Asked(name, file, from_, *opens, roll_back, as_clone, yes, retry, break_lock, verbose, json)
        if objects:
            return run(read_objects(console, asked, objects, out))
        if give_up:
            return run(give_up_restore(console, asked, frozenset(replace), frozenset(without), waive))
        return run(restore_backup(console, asked, frozenset(replace), frozenset(without), waive))
