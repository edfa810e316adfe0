"""`quorate init`: the first cluster file."""

from pathlib import Path

from quorate import atomic
from quorate.cli.output import print_json
from quorate.core import SpecError
from quorate.spec.starter import starter


def write_starter(name: str, file: Path, *, json: bool) -> int:
    """Write the file where none is, or print it for `-`. Raises SpecError."""
    text = starter(name)
    if file == Path("-"):
        print(text, end="")
        return 0
    try:
        # An empty one is what the shell makes of `quorate init > cluster.yaml` before this begins.
        empty = file.is_file() and file.stat().st_size == 0
        atomic.write(file, text.encode(), mode=0o644, new=not empty)
    except FileExistsError:
        raise SpecError(f"{file} is there already", "name another with -f, or remove it first") from None
    except OSError as error:
        raise SpecError(f"can't write {file}: {error.strerror}", "name another place with -f") from None
    if json:
        print_json({"file": str(file), "name": name})
    else:
        print(f"{file} is written. Put in your hosts' addresses, then: quorate validate, quorate plan")
    return 0
