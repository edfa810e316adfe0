"""Verbs that need the cluster file alone."""

from typing import Annotated

from cyclopts import Parameter

from quorate.cli.verbs.options import DEFAULT_FILE, File, Json, Offline, Svg


def init(
    name: Annotated[str, Parameter(help="Name of the cluster.")] = "my-cluster",
    /,
    *,
    file: File = DEFAULT_FILE,
    json: Json = False,
) -> int:
    """Write a commented cluster file to start from; one that exists stays as it is. `-f -` prints it."""
    from quorate.cli.init import write_starter

    return write_starter(name, file, json=json)


def validate(*, file: File = DEFAULT_FILE, offline: Offline = False, json: Json = False) -> int:
    """Check the cluster file and tell every problem at once; no host is touched. Exit code 3 for problems."""
    from quorate.cli.validate import check_file

    return check_file(file, offline=offline, json=json)


def schema(*, json: bool = True) -> int:
    """Print the JSON Schema of the cluster file, for editors."""
    from quorate.spec.schema import text

    print(text(), end="")
    return 0


def graph(*, file: File = DEFAULT_FILE, json: Json = False) -> int:
    """Print the components in the order in which they are built, and what each waits for.

    These are the names that `plan --only` takes. The order is the same for every cluster file.
    """
    from quorate.cli.graph import show_components

    return show_components(json=json)


def explain(*, file: File = DEFAULT_FILE, offline: Offline = False, json: Json = False, svg: Svg = None) -> int:
    """Tell from the cluster file what happens when a host, a process or two hosts fail; no host is touched.

    For each loss alone: whether the API can be read and written at the endpoint, whether the control loops go on,
    whether pods have other hosts, and what it means. Capacity is not judged.
    """
    from quorate.cli.explain import show_losses

    return show_losses(file, svg, offline=offline, json=json)
