"""`quorate schema`: what editors need to help with the cluster file."""


def schema(*, json: bool = True) -> int:
    """Print the JSON Schema of the cluster file, for editors."""
    from quorate.spec.schema import text

    print(text(), end="")
    return 0
