"""age (age-encryption.org/v1): what is sealed opens only with one of some private keys, or with a passphrase.

The format is known to other tools: `age --decrypt` opens what this seals. age does not say who sealed something.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pyrage import (
    DecryptError,
    EncryptError,
    IdentityError,
    RecipientError,
    decrypt,
    decrypt_io,
    encrypt,
    encrypt_io,
    ssh,
    x25519,
)
from pyrage import passphrase as by

from quorate.core import QuorateError

T = TypeVar("T")
Identity = Any
"""A private key, as pyrage holds it; it never prints itself."""

DAMAGED = "take another host's copy; if all are like this, a backup of the state folder"


def make_identity() -> str:
    """A new private key of age, as text."""
    return str(x25519.Identity.generate())


def public(identity: str) -> str:
    """The public key of a private key of age."""
    return str(x25519.Identity.from_str(identity).to_public())


def seal(content: bytes, recipients: Iterable[str]) -> bytes:
    """Seal for public keys of age or ssh-ed25519. Raises QuorateError for one that is none."""
    return bytes(encrypt(content, _public(recipients)))


def seal_stream(plain: BinaryIO, sealed: BinaryIO, recipients: Iterable[str]) -> None:
    """The same from one open file into another, of any size. Raises OSError when one of them can't be used."""
    source, target = _File(plain), _File(sealed)
    try:
        encrypt_io(source, target, _public(recipients))
    except EncryptError:
        raise source.fault or target.fault or AssertionError("nothing else can fail") from None


def _public(recipients: Iterable[str]) -> list[Any]:
    try:
        return [(x25519 if key.startswith("age1") else ssh).Recipient.from_str(key) for key in recipients]
    except RecipientError as error:
        fix = "correct state.recipients or backup.recipients"
        raise QuorateError(f"a recipient is no public key: {error}", fix) from None


def unseal(sealed: bytes, identities: Sequence[Identity], what: str) -> bytes:
    """Open with the first key that fits. Raises QuorateError; `what` names it then."""
    try:
        return bytes(decrypt(sealed, identities))
    except DecryptError as error:
        raise _unopened(error, what) from None


def unseal_stream(sealed: BinaryIO, plain: BinaryIO, identities: Sequence[Identity], what: str) -> None:
    """The same from one open file into another. What was written before an error is of no use.

    Raises OSError when one of the files can't be used.
    """
    source, target = _File(sealed), _File(plain)
    try:
        decrypt_io(source, target, identities)
    except DecryptError as error:
        raise source.fault or target.fault or _unopened(error, what) from None


class _File:
    """An open file that remembers what was wrong with it: pyrage makes an error of its own of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.fault: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """Read a piece."""
        return self._kept(lambda: self._file.read(size))

    def write(self, data: bytes) -> int:
        """Write a piece."""
        return self._kept(lambda: self._file.write(data))

    def flush(self) -> None:
        """Nothing is kept back here."""
        self._kept(self._file.flush)

    def _kept(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            self.fault = error
            raise


def _unopened(error: Exception, what: str) -> QuorateError:
    if "No matching keys" in str(error):
        fix = "name another key with --identity, or use the passphrase"
        return QuorateError(f"{what} is not sealed for this key", fix)
    return QuorateError(f"{what} is damaged: {error}", DAMAGED)


def lock(content: bytes, passphrase: str) -> bytes:
    """Seal with a passphrase, by scrypt at a cost of about a second."""
    return bytes(by.encrypt(content, passphrase))


def unlock(locked: bytes, passphrase: str, what: str) -> bytes:
    """Open with a passphrase. Raises QuorateError; `what` names it then."""
    try:
        return bytes(by.decrypt(locked, passphrase))
    except DecryptError as error:
        if str(error) == "Decryption failed":
            raise QuorateError(
                f"the passphrase does not open {what}", "try again: it is the one that `quorate passphrase` was given"
            ) from None
        raise QuorateError(f"{what} is damaged: {' '.join(str(error).split())}", DAMAGED) from None


def identities(content: bytes, name: str, ask: Callable[[], str]) -> list[Identity]:
    """The private keys in a file of age or OpenSSH; `ask` is asked for the passphrase of a locked OpenSSH key.

    Raises QuorateError for a file without one; `name` names it then.
    """
    fix = "name a file of `age-keygen`, or an ed25519 key of OpenSSH"
    try:
        if b"PRIVATE KEY-----" in content:
            return [ssh.Identity.from_buffer(_unlocked(content, name, ask))]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise QuorateError(f"{name}: holds no private key that age knows", fix)
    return found


def _unlocked(content: bytes, name: str, ask: Callable[[], str]) -> bytes:
    """An OpenSSH key without its passphrase, in memory."""

    def load(password: bytes | None) -> bytes:
        key = serialization.load_ssh_private_key(content, password)
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )

    try:
        return load(None)
    except TypeError:  # it has a passphrase
        pass
    except (ValueError, UnsupportedAlgorithm):
        return content
    try:
        return load(ask().encode())
    except UnsupportedAlgorithm:
        hint = "install bcrypt beside quorate, or take off the passphrase of a copy of the key: ssh-keygen -p"
        raise QuorateError(f"{name}: its passphrase needs the bcrypt package", hint) from None
    except ValueError:
        raise QuorateError(f"{name}: wrong passphrase, or not a key of OpenSSH", "try again") from None
