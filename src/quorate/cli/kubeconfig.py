"""`quorate kubeconfig`: a kubeconfig for the cluster's administrator."""

from pathlib import Path

from quorate import atomic
from quorate.cli.output import print_json
from quorate.core import QuorateError
from quorate.procedure.kubeconfig import operator_kubeconfig, outside
from quorate.spec.load import load
from quorate.state.store import Store


def write_kubeconfig(file: Path, output: Path | None, *, json: bool) -> int:
    """Print it, or write it to `output`. Raises QuorateError where something else is there, or it can't be written."""
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
        print_json({"file": str(output), "server": server})
    else:
        print(f"{output} is written for {server}: export KUBECONFIG={output}")
    return 0
