"""Judge of the disk of etcd: that it is mounted where file systems, units or the host's own note say so."""

from quorate.preflight.check import World
from quorate.report.findings import Verdict, failed, passed, unchecked, warned
from quorate.spec.cluster import Host, Role
from quorate.spec.layout import ETCD_DISK


def mounted(world: World, host: Host) -> Verdict | None:
    """Nothing that etcd's folder should lie on is missing. A member that works on what is there is left in peace."""
    if not host.has(Role.ETCD):
        return None
    facts = world.facts(host)
    if not facts.kernel:
        return unchecked()
    missing = facts.unmounted
    if missing is None or (missing.told_by == ETCD_DISK and host.name in world.context.replaced):
        return passed(world.cluster.etcd.data_dir)
    if missing.told_by == ETCD_DISK:
        return failed(f"the member's disk was mounted at {missing.path}, and nothing is mounted there now")
    if facts.etcd_member and "etcd.service" in facts.running:
        return warned(f"{missing}: once it is, the data of the member that runs are hidden below it")
    return failed(f"{missing}: etcd would begin below it")
