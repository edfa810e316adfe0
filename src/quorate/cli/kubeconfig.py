"""`quorate kubeconfig`: a kubeconfig for the cluster's administrator."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from quorate.cli.words import DEFAULT, File, Json

Target = Annotated[
    Path | None, Parameter(name=("--output", "-o"), help="Write it there, mode 0600, instead of printing it.")
]


def kubeconfig(*, file: File = DEFAULT, output: Target = None, json: Json = False) -> int:
    """Print a kubeconfig for the cluster's administrator; it holds a private key. No host is asked; with
    `endpoint.local` and no address, it names the first master that takes a connection from here.

    With -o a kubeconfig that is there is replaced, any other file is left alone.
    """
    from quorate import atomic
    from quorate.cli.output import dump
    from quorate.core import QuorateError
    from quorate.procedure.kubeconfig import operator_kubeconfig, outside
    from quorate.spec.load import load
    from quorate.state.store import Store

    cluster = load(file)
    store = Store.beside(file, cluster.name)
    server = outside(cluster)
    text = operator_kubeconfig(cluster, store, server)
    if output is None:
        print(text, end="")
        return 0
    try:
        if output.is_file() and "kind: Config" not in output.read_text(encoding="utf-8", errors="replace"):
            raise QuorateError(f"{output} is there already and is no kubeconfig", "name another place with -o")
        atomic.sweep_beside(output)
        atomic.write(output, text.encode())
    except OSError as error:
        raise QuorateError(f"{output}: can't be written: {error.strerror}", "name another place with -o") from None
    if json:
        dump({"file": str(output), "server": server})
    else:
        print(f"{output} is written for {server}: export KUBECONFIG={output}")
    return 0
