"""What opens copies and backups: private keys in a file, the passphrase, or the key that lies in the state folder."""

from pathlib import Path

from quorate.core import LocalError, QuorateError
from quorate.spec import regular
from quorate.state import age
from quorate.state.opener import Opener
from quorate.state.store import Store
from quorate.transport.password import Prompt, stored


async def opener(
    identity: Path | None,
    passphrase_from: Path | None,
    *,
    asks: bool,
    what: str,
    locked: bool,
    store: Store | None = None,
) -> Opener:
    """What opens `what`. Nobody is asked when a key is named, lies in `store`, or none is locked with a passphrase."""
    prompt = Prompt(allowed=asks)
    if identity is not None:
        try:
            content = regular.content(identity)
        except OSError as error:
            raise QuorateError(f"{identity}: can't be read: {error.strerror}", "name a private key") from None
        return Opener(age.identities(content, str(identity), lambda: prompt.read(f"Passphrase of {identity}")))
    if passphrase_from is not None:
        return Opener(passphrase=stored(passphrase_from, "--passphrase-from"))
    if store is not None and (own := store.read(store.path / "copy/identity", private=True)):
        return Opener(age.identities(own, str(store.path / "copy/identity"), lambda: ""))
    if not locked:
        return Opener()
    try:
        return Opener(passphrase=await prompt.ask(f"Passphrase for {what}"))
    except LocalError as error:
        hint = "put it into a file of mode 0600, and name that with --passphrase-from; or use --identity"
        raise QuorateError(error.message, hint) from None
