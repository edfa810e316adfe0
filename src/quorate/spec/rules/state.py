"""Rules about the sealed copies of the state folder: who can open them."""

from collections.abc import Iterator

from pyrage import RecipientError, ssh, x25519

from quorate.spec.cluster import Cluster
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault


def recipients(cluster: Cluster) -> Iterator[Fault]:
    """Each public key is one, as far as its checksum tells, is given once, and is of use."""
    given = cluster.state.recipients
    if given and not cluster.state.copies:
        yield Fault(("state", "recipients"), "has no effect with copies: false", "remove one of the two")
    for index, key in enumerate(given):
        where = ("state", "recipients", index)
        # What comes after an SSH key's second word is a comment.
        if key.split()[:2] in [other.split()[:2] for other in given[:index]]:
            yield Fault(where, "is given twice", "keep one of the two")
        elif not _sound(key):
            yield Fault(where, "is no public key: a character is wrong in it", "copy it again, as a whole")


def _sound(key: str) -> bool:
    try:
        (x25519 if key.startswith("age1") else ssh).Recipient.from_str(key)
    except RecipientError:
        return False
    return True


RULES = (rule("state", recipients),)
