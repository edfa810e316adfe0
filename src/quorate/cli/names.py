"""Names on the command line: hosts, roles and components that the cluster must have."""

from quorate.component import COMPONENTS
from quorate.core import UsageError
from quorate.spec.cluster import Cluster, Role


def selected_hosts(cluster: Cluster, names: tuple[str, ...]) -> frozenset[str]:
    """The hosts that are named, and those of roles that are named. Raises UsageError for what is neither."""
    roles = [role.value for role in Role]
    chosen = set[str]()
    for name in names:
        hosts = {host.name for host in cluster.hosts if host.name == name or (name in roles and host.has(Role(name)))}
        if not hosts:
            have = ", ".join(host.name for host in cluster.hosts)
            raise UsageError(f"{cluster.name} has no host or role {name}", f"hosts: {have}; roles: {', '.join(roles)}")
        chosen |= hosts
    return frozenset(chosen)


def demand_known(cluster: Cluster, hosts: tuple[str, ...], components: tuple[str, ...]) -> None:
    """Refuse names that are not in the cluster."""
    names = [host.name for host in cluster.hosts]
    for host in hosts:
        if host not in names:
            raise UsageError(f"{cluster.name} has no host {host}", f"hosts: {', '.join(names)}")
    parts = [component.NAME for component in COMPONENTS]
    for component in components:
        if component not in parts:
            raise UsageError(f"there is no component {component}", f"components: {', '.join(parts)}")
