"""Verbs around the state folder: what it knows, its copies, its keys."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, File, Identity, Json, PassphraseFrom, Yes

Last = Annotated[int, Parameter(name="-n", help="How many runs, the newest ones; 0 for all.")]
RunNumber = Annotated[int | None, Parameter(name="--run", help="Show the steps of the run with this number.")]


def history(*, file: File = DEFAULT_FILE, last: Last = 20, run: RunNumber = None, json: Json = False) -> int:
    """Show what was done to the cluster: when, by whom, how it ended and how long it took. No host is asked.

    A run that was killed, or whose machine died, has no end in the journal and is shown as cut off.
    """
    from quorate.cli.history import show_history

    return show_history(file, last, run, json=json)


Archive = Annotated[
    Path | None,
    Parameter(name=("--output", "-o"), help="Write it there, instead of into this folder under a new name."),
]


def support(*, file: File = DEFAULT_FILE, output: Archive = None, json: Json = False) -> int:
    """Write one archive for a report of a fault: status, plan, versions, journals, configuration, history.

    All hosts are asked side by side; nothing is changed. No key, token, password or login is in it, but names and
    addresses are: look at it before you send it. Exit code 6 when a host did not answer; the archive is written all
    the same. With -o an archive of ours is replaced, any other file is left alone.
    """
    from quorate.cli.output import Output, run
    from quorate.cli.support import write_archive

    return run(write_archive(Output(), file, output, json=json))


From = Annotated[
    Path | None,
    Parameter(name="--from", help="A file (mode 0600) with it in its first line, instead of asking twice."),
]


def passphrase(*, file: File = DEFAULT_FILE, source: From = None, json: Json = False) -> int:
    """Set or change the passphrase of the copies of the state folder that the etcd hosts keep. No host is asked.

    The next apply brings them to the hosts; `quorate adopt` opens one. The passphrase itself is kept nowhere.
    """
    from quorate.cli.passphrase import set_passphrase

    return set_passphrase(file, source, json=json)


Address = Annotated[str, Parameter(help="Address or name of one of the cluster's etcd hosts; or a backup's file.")]
Into = Annotated[Path, Parameter(name="--into", help="The folder for the cluster file and the state folder.")]
User = Annotated[str | None, Parameter(name="--user", help="Login user (default root). Another user needs sudo.")]
Port = Annotated[int | None, Parameter(name="--port", help="sshd's port (default 22).")]
Key = Annotated[
    Path | None, Parameter(name="--key", help="Private SSH key; without it the agent and the default keys are tried.")
]
Login = Annotated[bool, Parameter(name="--ask-password", help="Ask for the login password.", show_default=False)]
Sudo = Annotated[bool, Parameter(name="--ask-sudo-password", help="Ask for the sudo password.", show_default=False)]


def adopt(
    host: Address,
    /,
    *,
    into: Into = Path(),
    user: User = None,
    port: Port = None,
    key: Key = None,
    ask_password: Login = False,
    ask_sudo_password: Sudo = False,
    identity: Identity = None,
    passphrase_from: PassphraseFrom = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Get a cluster's state folder back, on a machine that has nothing but SSH access and the passphrase.

    The copy on the named host is opened; when another etcd host has a newer one, that is taken. Host keys that are
    not pinned in the copy are shown and pinned after a yes. What is in the folder already is never overwritten.
    From a backup's file comes the state folder of its time, and no host is asked: for `quorate restore` there.
    """
    from quorate.cli.adopt import adopt_folder
    from quorate.cli.output import Output, run

    passwords = {"ask_password": ask_password or None, "ask_sudo_password": ask_sudo_password or None}
    flags = {"user": user, "port": port, "key": key and str(key.expanduser().absolute()), **passwords}
    login = {name: value for name, value in flags.items() if value is not None}
    return run(adopt_folder(Output(), host, into.absolute(), login, identity, passphrase_from, yes=yes, json=json))


Kubeconfig = Annotated[
    Path | None, Parameter(name=("--output", "-o"), help="Write it there, mode 0600, instead of printing it.")
]


def kubeconfig(*, file: File = DEFAULT_FILE, output: Kubeconfig = None, json: Json = False) -> int:
    """Print a kubeconfig for the cluster's administrator; it holds a private key. No host is asked; with
    `endpoint.local` and no address, it names the first master that takes a connection from here.

    With -o a kubeconfig that is there is replaced, any other file is left alone.
    """
    from quorate.cli.kubeconfig import write_kubeconfig

    return write_kubeconfig(file, output, json=json)
