"""Judge of the way to an endpoint that is there before anything is done: a host that joins must find it."""

from quorate.component.endpoint import asks
from quorate.preflight.check import Question, World
from quorate.preflight.links import holder
from quorate.preflight.pairs import WORDS
from quorate.render.questions import REACH
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host


def _there(world: World) -> bool:
    """Whether somebody should answer by now: the cluster has this endpoint already, or it is one outside of it.

    Never where each node has a balancer of its own: that comes with the host, and needs API servers' ports alone.
    """
    cluster, was = world.cluster, world.context.established
    if cluster.endpoint.local:
        return False
    return bool(cluster.endpoint.address) or (was is not None and was.server_url == cluster.server_url)


def _ask(world: World, host: Host) -> str:
    """A connection to the endpoint."""
    if not (_there(world) and asks(host)):
        return ""
    return REACH + sh("tcp", world.cluster.server, str(world.cluster.server_port))


ENDPOINT = Question("endpoint", _ask)


def reached(world: World, host: Host) -> Verdict | None:
    """The endpoint takes a connection from the host, or refuses one while nothing is behind it: the way is open."""
    if not (_there(world) and asks(host)):
        return None
    cluster, said = world.cluster, world.answer(host, ENDPOINT.name).splitlines()
    if "asked tcp" not in said:
        return unchecked("there is neither bash nor curl to try with" if said else "the host does not tell")
    how = next((line.rpartition(" ")[2] for line in said if line.startswith("tcp ")), "")
    at, has = f"{cluster.server}:{cluster.server_port}", holder(world, cluster.server)
    if how in ("open", "refused"):
        return passed(at)
    if cluster.endpoint.vip and has is None:
        return unchecked(f"nobody holds {cluster.server} at the moment")
    text = f"can't reach {at}{f', which {has.name} holds' if has else ''} ({WORDS.get(how, how)})"
    return warned(text) if world.settled(host) or cluster.endpoint.address else failed(text)
