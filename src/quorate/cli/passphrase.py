"""`quorate passphrase`: the passphrase that opens the sealed copies of the state folder."""

from pathlib import Path

from quorate.cli.output import Output, demand_terminal, print_json
from quorate.cli.verbs.options import file_flag
from quorate.core import QuorateError
from quorate.spec.load import load
from quorate.state import seal
from quorate.state.store import Store
from quorate.transport.password import Prompt, stored


def set_passphrase(file: Path, source: Path | None, *, json: bool) -> int:
    """Take a passphrase from the first line of `source`, or ask for it twice, and keep what opens copies with it."""
    cluster = load(file)
    store = Store.beside(file, cluster.name)
    changed = seal.locked(store) is not None
    if source is not None:
        passphrase = stored(source, "--from")
    elif json:
        raise QuorateError("with --json nobody is asked", "put the passphrase into a file, and name it with --from")
    else:
        demand_terminal("passphrase", "put it into a file of mode 0600, and name that with --from")
        prompt = Prompt()
        passphrase = prompt.read(f"New passphrase for the copies of {cluster.name}")
        if prompt.read("The same again") != passphrase:
            raise QuorateError("the two are not the same", "nothing was changed; try again")
    seal.set_passphrase(store, passphrase)
    if json:
        print_json({"cluster": cluster.name, "changed": changed, "copies": cluster.state.copies})
        return 0
    hosts = ", ".join(host.name for host in cluster.members)
    out = Output()
    out.say(
        f"The passphrase is {'changed' if changed else 'set'}. `quorate apply{file_flag(file)}` brings it to {hosts}."
    )
    if not cluster.state.copies:
        out.say(("The cluster file says `copies: false`: no copies are kept.", "yellow"))
    return 0
