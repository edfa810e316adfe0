"""`quorate validate`: the cluster file alone; no host is touched."""

from pathlib import Path

from quorate.cli.output import print_json
from quorate.cli.problem import as_dict
from quorate.core import SpecError
from quorate.plan.words import many
from quorate.spec.load import load


def check_file(file: Path, *, offline: bool, json: bool) -> int:
    """Tell every problem of the file. Raises SpecError, but for programs that get JSON."""
    try:
        cluster = load(file, offline=offline)
    except SpecError as error:
        if not json:
            raise
        print_json({"valid": False, **as_dict(error)})
        return error.exit_code
    if json:
        print_json({"valid": True, "cluster": cluster.name, "hosts": [host.name for host in cluster.hosts]})
    else:
        print(f"{file}: cluster {cluster.name}, {many(len(cluster.hosts), 'host')}: no problems")
    return 0
