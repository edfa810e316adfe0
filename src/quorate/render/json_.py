"""JSON files: indented, keys in their own order, ASCII, nothing that is not JSON."""

import json


def dump(value: object) -> str:
    """One document with a newline at its end. Raises ValueError for what JSON has no word for."""
    try:
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    except TypeError as error:
        raise ValueError(str(error)) from error
