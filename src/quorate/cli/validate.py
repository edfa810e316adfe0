"""`quorate validate`: the cluster file alone; no host is touched."""

from quorate.cli.words import DEFAULT, File, Json, Offline


def validate(*, file: File = DEFAULT, offline: Offline = False, json: Json = False) -> int:
    """Check the cluster file and tell every problem at once; no host is touched. Exit code 3 for problems."""
    from quorate.cli.output import dump
    from quorate.cli.problem import as_dict
    from quorate.core import SpecError
    from quorate.plan.words import many
    from quorate.spec.load import load

    try:
        cluster = load(file, offline=offline)
    except SpecError as error:
        if not json:
            raise
        dump({"valid": False, **as_dict(error)})
        return error.exit_code
    if json:
        dump({"valid": True, "cluster": cluster.name, "hosts": [host.name for host in cluster.hosts]})
    else:
        print(f"{file}: cluster {cluster.name}, {many(len(cluster.hosts), 'host')}: no problems")
    return 0
