"""Judges of the network between hosts: do packets of full size pass, and do the ports that the cluster needs."""

from collections.abc import Mapping

from quorate.preflight.check import Question, World
from quorate.preflight.links import carrier
from quorate.render.questions import REACH
from quorate.render.sh import sh
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host

MOST_PEERS = 16
"""Peers to which a host sends packets of full size; in a larger cluster each has its own."""
HEADERS = 28
"""Bytes of an IPv4 and an ICMP header."""
WORDS: Mapping[str, str] = {"silent": "no answer", "barred": "turned away"}
"""What became of a connection that was not made."""


def peers(world: World, host: Host) -> tuple[Host, ...]:
    """The other hosts that answer; between two that are settled nothing is asked again."""
    return tuple(
        other
        for other in world.there
        if other.name != host.name and (not world.settled(host) or not world.settled(other))
    )


def needed_ports(world: World, host: Host) -> tuple[tuple[Host, int], ...]:
    """The TCP ports of other hosts that a host needs."""
    return tuple(
        (peer, port)
        for peer in peers(world, host)
        for port, sources in world.needed_ports[peer.ip]
        if sources is None or host.ip in sources
    )


def _ask(world: World, host: Host) -> str:
    around, mine = peers(world, host), carrier(world, host)
    if not around:
        return ""
    jobs = [sh("tcp", peer.ip, str(port)) for peer, port in needed_ports(world, host)]
    # Each begins with the one after itself, so that together they reach everybody.
    after = [peer for peer in around if peer.name > host.name] + [peer for peer in around if peer.name < host.name]
    for peer in after[:MOST_PEERS]:
        theirs = carrier(world, peer)
        if mine and theirs:
            jobs.append(sh("mtu", peer.ip, str(min(mine.mtu, theirs.mtu) - HEADERS)))
    return REACH + "".join(f"{job} &\n" for job in jobs) + "wait"


PAIRS = Question("pairs", _ask, late=True)


def mtu(world: World, host: Host) -> Verdict | None:
    """As large as that of the other hosts, and packets of that size arrive."""
    mine = carrier(world, host)
    if mine is None:
        return unchecked()
    others = {link.mtu for other in world.there if (link := carrier(world, other))}
    wanted = world.cluster.network.mtu
    if wanted and wanted > mine.mtu:
        return warned(f"network.mtu is {wanted}, that of the host {mine.mtu}")
    if len(others) > 1:
        return warned(f"{mine.mtu}, other hosts have {', '.join(str(each) for each in sorted(others - {mine.mtu}))}")
    if not peers(world, host):
        return passed(str(mine.mtu))
    said = world.answer(host, PAIRS.name).splitlines()
    if small := _named(world, said, "small"):
        return warned(f"packets of {mine.mtu} bytes do not arrive at {', '.join(small)}, small ones do")
    if "asked mtu" not in said:
        return unchecked(f"{mine.mtu} on all hosts; whether such packets pass can't be asked: there is no ping")
    silent = _named(world, said, "silent")
    return unchecked(f"no answer to ping from {', '.join(silent[:4])}") if silent else passed(str(mine.mtu))


def _named(world: World, said: list[str], how: str) -> list[str]:
    """The hosts to which full packets went that way."""
    ips = {words[1] for line in said if (words := line.split())[:1] == ["mtu"] and words[2:] == [how]}
    return [host.name for host in world.cluster.hosts if host.ip in ips]


def reach(world: World, host: Host) -> Verdict | None:
    """Each port that this host needs of others answers or refuses: nothing on the way swallows it."""
    needed = needed_ports(world, host)
    if not needed:
        return None
    said = world.answer(host, PAIRS.name).splitlines()
    if "asked tcp" not in said:
        return unchecked("there is neither bash nor curl to try with" if said else "the host does not tell")
    how = {(words[1], words[2]): words[3] for line in said if len(words := line.split()) == 4 and words[0] == "tcp"}
    closed, later, untold = [], [], []
    for peer, port in needed:
        word = how.get((peer.ip, str(port)), "")
        text = f"{peer.name}:{port}"
        if word in ("open", "refused"):
            continue
        if not word:
            untold.append(text)
        elif _will_open(world, peer):
            later.append(text)
        else:
            closed.append(f"{text} ({WORDS.get(word, word)})")
    if closed:
        return failed(f"can't reach {', '.join(closed)}")
    if untold:
        return unchecked(f"no word about {', '.join(untold[:6])}")
    shut = f"; apply opens {', '.join(later[:6])}" if later else ""
    return passed(f"{len(needed)} ports of {len({peer.name for peer, _ in needed})} hosts{shut}")


def _will_open(world: World, peer: Host) -> bool:
    """Whether what filters there is a firewall that apply opens or stops."""
    kind, choice = world.facts(peer).firewall, world.cluster.os.firewall
    return kind != "none" and (choice == "open-ports" or (choice == "off" and kind != "iptables"))
