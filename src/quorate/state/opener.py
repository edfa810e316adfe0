"""Who may open what is sealed: the copies of a state folder, and backups; by private keys or by the passphrase."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from quorate.core import QuorateError
from quorate.state import age
from quorate.state.bundle import Bundle, unpack


@dataclass(frozen=True)
class Sealed:
    """What a host has."""

    host: str
    state: bytes
    identity: bytes | None
    """The copy's key, locked with the passphrase."""

    @property
    def name(self) -> str:
        """For messages."""
        return f"the copy of {self.host}"


@dataclass(frozen=True)
class Opened:
    """A copy that was opened and is whole."""

    host: str
    bundle: Bundle
    sequence: int


class Opener:
    """Opens copies: with private keys, or with the passphrase, which is used up once."""

    def __init__(self, identities: Sequence[age.Identity] = (), passphrase: str = "") -> None:
        self._identities, self._passphrase = list(identities), passphrase

    def open(self, sealed: Sealed) -> Opened:
        """Raises QuorateError for one that does not open, or is not as it was made."""
        keys = self.keys(sealed.identity, sealed.name)
        bundle, sequence = unpack(age.unseal(sealed.state, keys, sealed.name), sealed.name)
        return Opened(sealed.host, bundle, sequence)

    def keys(self, locked: bytes | None, what: str) -> Sequence[age.Identity]:
        """The private keys; without any, that in `locked`, which the passphrase opens. `what` is what it belongs to."""
        if not self._identities:
            if locked is None:
                hint = "name a private key of one of its recipients with --identity"
                raise QuorateError(f"{what} has no passphrase", hint)
            self._identities = age.identities(age.unlock(locked, self._passphrase, what), what, lambda: "")
        return self._identities

    def those(self, sealed: Iterable[Sealed], lost: dict[str, QuorateError]) -> Iterator[Opened]:
        """All that open; why others do not is put into `lost`, by host."""
        for each in sealed:
            try:
                yield self.open(each)
            except QuorateError as error:
                lost[each.host] = error
