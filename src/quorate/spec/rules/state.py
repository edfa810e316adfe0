"""Rules about sealed copies and backups: who can open them, and where backups are kept."""

from collections.abc import Iterator, Sequence

from pyrage import RecipientError, ssh, x25519

from quorate.spec.cluster import Cluster
from quorate.spec.rules.rule import rule
from quorate.spec.tree import Fault, Where


def recipients(cluster: Cluster) -> Iterator[Fault]:
    """Each public key is one, as far as its checksum tells, is given once, and is of use."""
    given = cluster.state.recipients
    if given and not cluster.state.copies:
        yield Fault(("state", "recipients"), "has no effect with copies: false", "remove one of the two")
    yield from _keys(("state", "recipients"), given)


def backup_recipients(cluster: Cluster) -> Iterator[Fault]:
    """The same for those of backups."""
    yield from _keys(("backup", "recipients"), cluster.backup.recipients)


def places(cluster: Cluster) -> Iterator[Fault]:
    """Each place is one, and is given once."""
    given = cluster.backup.places
    for index, place in enumerate(given):
        named = sorted(place.model_fields_set & {"folder", "ssh", "s3"})
        if len(named) != 1:
            told = "names none of folder, ssh and s3" if not named else f"names {' and '.join(named)}"
            yield Fault(("backup", "places", index), told, "write exactly one of the three for each place")
        elif place in given[:index]:
            yield Fault(("backup", "places", index), "is given twice", "keep one of the two")


def _keys(field: Where, given: Sequence[str]) -> Iterator[Fault]:
    for index, key in enumerate(given):
        where = (*field, index)
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


RULES = (rule("state", recipients), rule("backup", backup_recipients), rule("backup", places))
