"""JSON Schema of the cluster file, for editors. Write it with `python -m quorate.spec.schema > cluster.schema.json`."""

import json
from typing import Any

from quorate.spec.cluster import Cluster


def schema() -> dict[str, Any]:
    """The schema of the model, with what only the loader knows: `master` for `control-plane`."""
    made = Cluster.model_json_schema(mode="validation")
    made["$defs"]["Role"]["enum"].append("master")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "quorate cluster file",
    }


def text() -> str:
    """The schema as JSON text."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
