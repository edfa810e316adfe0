"""The data of a restored etcd: made beside the old ones while those still serve, exchanged with them by renaming.

`restored-ID` in etcd's folder has the new data until they are exchanged, `before-TIME` the old ones from then on, and
nothing of ours ever removes those. Both lie on the member's own disk: nothing is copied while etcd stands still.
"""

from collections.abc import Iterator

from quorate.component.context import Context
from quorate.component.membership import Ctl
from quorate.core import Key
from quorate.render import etcd_restore as scripts
from quorate.render.etcd_disk import restored
from quorate.render.sh import quote, sh
from quorate.resource.fence import PLACE as FENCES
from quorate.resource.file import Binary, DataDirectory, Directory
from quorate.resource.job import PLACE as JOBS
from quorate.resource.job import Job
from quorate.resource.resource import Resource
from quorate.resource.system import Setting, User
from quorate.resource.unit import Ready
from quorate.spec.cluster import Host
from quorate.spec.layout import STATE
from quorate.spec.restoring import Restoration

FOLDER = f"{STATE}/restore"
"""Of etcd hosts, while a restore is under way: the snapshot, and the program that reads it."""
SNAPSHOT = f"{FOLDER}/snapshot"
FENCE = "etcd"
"""The name of the fence that keeps the old member down."""
WORK = "new data of etcd"
_WORD = WORK.replace(" ", "-")


def _url(host: Host) -> str:
    return f"https://{host.ip}:2380"


def made(context: Context, restoring: Restoration, host: Host) -> Iterator[Resource]:
    """The snapshot on the host, and new data out of it beside those that etcd uses. Nothing that runs is touched."""
    data = context.cluster.etcd.data_dir
    yield User(host=host.name, user="etcd", home=data)
    yield DataDirectory(host=host.name, path=data, mode="0700", owner="etcd:etcd")
    yield Directory(host=host.name, path=FOLDER, mode="0700")
    # Not the one in the operator's path: it may be of another version, or not there yet.
    yield Binary(host=host.name, path=f"{FOLDER}/{restoring.tool}", blob=context.blob(restoring.tool))
    if restoring.blob is not None:
        yield Binary(host=host.name, path=SNAPSHOT, blob=restoring.blob, mode="0600")
    yield Job(host=host.name, what=WORK, id=restoring.id, script=making(context, restoring, host))


def making(context: Context, restoring: Restoration, host: Host) -> str:
    """sh that makes the new data, whole and on the disk when it succeeds; it begins anew when it is run again."""
    cluster = context.cluster
    new = f"{cluster.etcd.data_dir}/restored-{restoring.id}"
    command = sh(
        *(f"{FOLDER}/{restoring.tool}", "snapshot", "restore", SNAPSHOT, "--name", host.name),
        *("--initial-cluster", ",".join(f"{member.name}={_url(member)}" for member in cluster.members)),
        *("--initial-cluster-token", restoring.id),
        *("--initial-advertise-peer-urls", _url(host), "--data-dir", new),
        *(("--bump-revision", str(restoring.bump), "--mark-compacted") if restoring.bump else ()),
    )
    return scripts.make(command, cluster.etcd.data_dir, new, restoring.id, restoring.size // 1024 + 1)


def exchanged(context: Context, restoring: Restoration, host: Host) -> Setting:
    """The new data in the place of the old ones, which are laid aside; refused where an etcd runs, or may start."""
    folder = context.cluster.etcd.data_dir
    new, job = f"{folder}/restored-{restoring.id}", f"{JOBS}/{_WORD}"
    return Setting(
        host=host.name,
        what="data of etcd",
        want=(("restored", restoring.id),),
        check=f"q=$({restored(folder)}); echo restored=${{q:-no}}",
        script=scripts.exchange(folder, new, restoring.id, fence=f"{FENCES}/{FENCE}", job=job),
    )


def united(context: Context, restoring: Restoration, host: Host, *, after: frozenset[Key]) -> Ready:
    """All members are one etcd: as many as there should be, with one leader, and all at the revision of the restore.

    Members that were restored apart would each be healthy, and each lead itself.
    """
    members = context.cluster.members
    ctl = Ctl(host, members)
    least = restoring.revision + restoring.bump
    return Ready(
        host=host.name,
        what="one etcd of all members",
        check=scripts.is_united(str(ctl), len(members), least),
        within=120,
        evidence=f"{ctl} --command-timeout=3s endpoint status -w table",
        explicit=after,
    )


def cleared(context: Context, restoring: Restoration, host: Host) -> Setting:
    """The snapshot and its program gone from the host, with data that were made and not taken into use."""
    job = f"systemctl stop quorate-job-{_WORD}.service 2>/dev/null || :; rm -rf -- {JOBS}/{_WORD}"
    new = quote(f"{context.cluster.etcd.data_dir}/restored-{restoring.id}")
    return Setting(
        host=host.name,
        what="what the restore needed",
        want=(("left", "nothing"),),
        check=f"if [ -e {FOLDER} ] || [ -e {new} ]; then echo left=some; else echo left=nothing; fi",
        script=f"{job}\nrm -rf -- {new} {FOLDER}",
        removes=True,
    )
