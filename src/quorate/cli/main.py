"""The front door: which verbs there are, and what becomes of errors."""

import gc
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, Parameter

from quorate.cli import problem, streams
from quorate.cli.interrupt import as_interrupt
from quorate.cli.verbs import backups, cluster_file, hosts, lab, proof, state_folder, supply
from quorate.core import EXIT_CODES, QuorateError, UsageError

Verb = tuple[Callable[..., int], str]
"""What is called, and its line in the help of all."""

VERBS: dict[str, Verb] = {
    "init": (cluster_file.init, "Write a commented cluster file to start from."),
    "validate": (cluster_file.validate, "Check the cluster file; no host is touched."),
    "schema": (cluster_file.schema, "Print the JSON Schema of the cluster file, for editors."),
    "graph": (cluster_file.graph, "Print the components in the order in which they are built."),
    "explain": (cluster_file.explain, "Tell what happens when a host or a process fails; no host is touched."),
    "trust": (hosts.trust, "Show the hosts' SSH keys and pin them."),
    "build": (
        supply.build,
        "Build a Kubernetes version and all that goes with it from Go modules, for clusters to come.",
    ),
    "artifacts": (supply.artifacts, "List what will be installed, or export it to a folder."),
    "plan": (hosts.plan, "Show what apply would change; changes nothing."),
    "upgrade": (hosts.upgrade, "Write another version into the cluster file, and show the way there."),
    "preflight": (hosts.preflight, "Check all hosts for what would break an apply; changes nothing."),
    "apply": (hosts.apply, "Make the hosts what the cluster file says."),
    "status": (proof.status, "Show the cluster on one screen."),
    "verify": (proof.verify, "Prove that the cluster works."),
    "conformance": (proof.conformance, "Run Kubernetes' own conformance tests against the cluster."),
    "drill": (proof.drill, "Break things on purpose, and measure what users of the API notice."),
    "defrag": (hosts.defrag, "Give back what is free inside etcd's stores, and clear the alarm of a full one."),
    "history": (state_folder.history, "Show what was done to the cluster, by whom, and how it ended."),
    "support": (state_folder.support, "Write an archive for a report of a fault; no secret is in it."),
    "backup": (backups.backup, "Take a backup, sealed and proved; list and prove those that there are."),
    "restore": (backups.restore, "Take the cluster back to a backup, in stages that are shown before they run."),
    "passphrase": (state_folder.passphrase, "Set the passphrase of the state folder's copies on the etcd hosts."),
    "adopt": (state_folder.adopt, "Get a cluster's state folder back from its etcd hosts, on a new machine."),
    "kubeconfig": (state_folder.kubeconfig, "Print a kubeconfig for the cluster's administrator."),
    "destroy": (hosts.destroy, "Take the cluster away and leave the hosts as they were found."),
}

BACKUP: dict[str, Verb] = {
    "list": (backups.list_, "List the backups, where they lie, and how far each was proved."),
    "prove": (backups.prove, "Prove a backup: restore it where nobody sees it, and read all of it with its keys."),
}

LAB: dict[str, Verb] = {
    "up": (lab.up, "Boot a simulated host for each host of the cluster file."),
    "down": (lab.down, "Take the lab away, with everything that it had on this machine."),
    "list": (lab.list_, "List labs and how their hosts are."),
    "ssh": (lab.ssh, "Open a shell, or run a command, on a simulated host."),
    "cut": (lab.cut, "Pull a host's network cable."),
    "heal": (lab.heal, "Put a host's network cable in again."),
    "kill": (lab.kill, "Cut a host's power."),
    "start": (lab.start, "Boot a host that is off."),
    "replace": (lab.replace, "Put a new machine with an empty disk in the place of a host."),
    "freeze": (lab.freeze, "Hang a host: its processes stop, its kernel still answers ping."),
    "thaw": (lab.thaw, "Let a frozen host run on."),
}

app = App(
    name="quorate",
    help="Real Kubernetes, highly available, from binaries: one file, plan, apply, and a proof.",
    help_format="plaintext",
    help_epilogue="\n".join(["Exit codes:", *(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())]),
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)
_lab = App(
    name="lab",
    help="Simulated hosts on this machine, to try everything on.",
    help_epilogue="",
    sort_key=len(VERBS),
)


def _register(of: App, verbs: dict[str, Verb]) -> None:
    for number, (name, (verb, told)) in enumerate(verbs.items()):
        of.command(verb, name=name, help=told, help_epilogue="", sort_key=number)


_register(app, VERBS)
_register(app["backup"], BACKUP)
_register(_lab, LAB)
app.command(_lab)


def _version() -> str:
    from importlib.metadata import version  # nothing but --version needs it

    return version("quorate")


app.version = _version


def run(words: Sequence[str]) -> int:
    """Run a command line; returns its exit code. Errors are printed here and nowhere else."""
    own_words = words[: list(words).index("--")] if "--" in words else words
    as_json = "--json" in own_words
    try:
        code = app(_join_dash(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        verb = " ".join(["quorate", *(word for word in words[:1] if word in VERBS or word == "lab")])
        usage = UsageError(" ".join(str(error).split()), f"`{verb} --help` lists what it takes")
        return problem.print_error(usage, as_json=as_json)
    except QuorateError as error:
        return problem.print_error(error, as_json=as_json)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return problem.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever read us has seen enough; while it prints help, rich ends the process for that.
        streams.silence_stdout()
        return 0
    except OSError as error:
        if fault := streams.output_fault():
            return _unwritten(fault)
        if local_error := problem.from_os_error(error):
            return problem.print_error(local_error, as_json=as_json)
        return problem.print_bug(error, as_json=as_json)
    except Exception as error:  # the last net: a bug
        return problem.print_bug(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _join_dash(words: Sequence[str]) -> list[str]:
    """The words with a `-` by itself joined to its option: `-f -` is `-f=-`, or it would be taken for an option."""
    joined: list[str] = []
    for word in words:
        if word == "-" and joined and joined[-1].startswith("-") and "=" not in joined[-1] and "--" not in joined:
            joined[-1] += "=-"
        else:
            joined.append(word)
    return joined


def main() -> None:
    """Entry point of the command `quorate`."""
    # Imports make many objects and no garbage: without looking for it they take a sixth less time.
    gc.set_threshold(50_000)
    streams.prepare()
    with as_interrupt():
        code = run(sys.argv[1:])
    fault = streams.output_fault()
    if fault and not isinstance(fault, BrokenPipeError):
        code = code or _unwritten(fault)
    sys.exit(code)


def _unwritten(fault: OSError) -> int:
    """Say that the output could not be written, where that can still be said."""
    error = QuorateError(f"the output can't be written: {fault.strerror}", "write it to another place")
    return problem.print_error(error, as_json=False)
