"""Rules about names and interfaces by which machines are reached: from here, and from each other."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from quorate.spec.cluster import Cluster, Ssh
from quorate.spec.rules.rule import rule
from quorate.spec.ssh import ssh_of
from quorate.spec.tree import Fault, Where
from quorate.spec.vip import named


def misspelt(name: str) -> bool:
    """Whether a name looks like an address and is none: `300.1.1.1`, `10.1.1`. No domain ends in a number."""
    if not name.rpartition(".")[2].isdigit():
        return False
    try:
        IPv4Address(name)
    except AddressValueError:
        return True
    return False


def _names(cluster: Cluster) -> Iterator[tuple[Where, str | None]]:
    def jump(ssh: Ssh, around: Where) -> tuple[Where, str | None]:
        return (*around, "jump", "host"), ssh.jump.host if ssh.jump else None

    yield ("endpoint", "address"), cluster.endpoint.address
    yield jump(cluster.ssh, ("ssh",))
    for index, host in enumerate(cluster.hosts):
        yield ("hosts", index, "ssh_address"), host.ssh_address
        yield jump(host.ssh, ("hosts", index, "ssh"))


def names(cluster: Cluster) -> Iterator[Fault]:
    """What looks like an address is one."""
    for where, name in _names(cluster):
        if name and misspelt(name):
            fix = "write four numbers from 0 to 255, such as 192.168.109.131, or a name"
            yield Fault(where, "is neither a name nor an IPv4 address", fix)


def jumps(cluster: Cluster) -> Iterator[Fault]:
    """Nobody is reached through itself."""
    for index, host in enumerate(cluster.hosts):
        ssh = ssh_of(cluster, host)
        if ssh.jump and (ssh.jump.host, ssh.jump.port) == (ssh.address, ssh.port):
            where: Where = ("hosts", index, "ssh", "jump") if host.ssh.jump else ("ssh", "jump")
            rule_ = f"host {host.name} is its own jump host"
            fix = f"write `jump` in the `ssh` of the other hosts; {host.name} needs none"
            yield Fault(where, rule_, fix, value=ssh.jump.host)


def interfaces(cluster: Cluster) -> Iterator[Fault]:
    """An interface leads to other machines."""
    given: list[tuple[Where, str | None]] = [(("endpoint", "interface"), cluster.endpoint.interface)]
    for index, host in enumerate(cluster.hosts):
        given += [(("hosts", index, "interface"), host.interface)]
        given += [(("hosts", index, "vip_interface"), host.vip_interface)]
    for where, name in given:
        if name == "lo":
            fix = "write the name that `ip link` shows, such as 'ens33', or leave the field out"
            yield Fault(where, "is the loopback interface, which no other machine reaches", fix)


def edges(cluster: Cluster) -> Iterator[Fault]:
    """Where the file tells how large the balancers' network is: none of them has its first or last address."""
    prefix = cluster.endpoint.prefix
    if not prefix or prefix > 30:
        return
    for index, host in enumerate(cluster.hosts):
        network = IPv4Network(f"{host.ip}/{prefix}", strict=False)
        if (
            host in cluster.balancers
            and not named(cluster, host)
            and host.address in (network.network_address, network.broadcast_address)
        ):
            yield Fault(
                ("hosts", index, "address"),
                f"is the first or last address of {network} (endpoint.prefix)",
                "write the address that the machine has",
            )


RULES = (
    rule("hosts ssh endpoint", names),
    rule("hosts ssh", jumps),
    rule("hosts endpoint", interfaces),
    rule("hosts endpoint", edges),
)
