"""What the cluster file names and does not hold itself: texts, logins, keys of places, and whom backups are for."""

from pathlib import Path

from quorate.core import ArtifactError, PlanError
from quorate.spec.cluster import Cluster
from quorate.spec.rules.files import LOGIN
from quorate.state import seal
from quorate.state.store import Store
from quorate.transport.password import private, stored


def texts_of(cluster: Cluster) -> dict[str, str]:
    """Files of the user's that go into the cluster as they are."""
    found: dict[str, str] = {}
    if cluster.apiserver.audit_policy:
        found["audit-policy"] = _ended(cluster.apiserver.audit_policy.read_text(encoding="utf-8-sig"))
    if cluster.network.cni == "manifest" and cluster.network.manifest:
        source = cluster.network.manifest
        if source.startswith(("http://", "https://")):
            found["cni-manifest"] = _ended(_fetched(source))
        else:
            found["cni-manifest"] = _ended(Path(source).read_text(encoding="utf-8-sig"))
    for server, access in cluster.runtime.registry_access.items():
        if access.ca_file:
            found[f"ca-of {server}"] = _ended(access.ca_file.read_text(encoding="ascii", errors="replace"))
    for index, place in enumerate(cluster.backup.places if cluster.backup.schedule else ()):
        if place.ssh:
            found[f"hosts-of-place {index}"] = _ended(place.ssh.known_hosts.read_text(encoding="utf-8"))
        elif place.s3 and place.s3.ca_file:
            found[f"ca-of-place {index}"] = _ended(place.s3.ca_file.read_text(encoding="ascii", errors="replace"))
    return found


def registry_logins(cluster: Cluster) -> dict[str, str]:
    """Logins by registry. Raises LocalError for a file that can't be read, and PlanError for what is no login."""
    given = cluster.runtime.registry_access.items()
    found = {
        server: stored(access.login_file, f"runtime.registry_access.{server}.login_file")
        for server, access in given
        if access.login_file
    }
    for server, login in found.items():
        if not LOGIN.fullmatch(login):
            raise PlanError(f"the login of {server} is none", "write USER:PASSWORD into its login_file, or variable")
    return found


def proxy_login(cluster: Cluster) -> str:
    """The login of the hosts' proxy. Raises LocalError for a file that can't be read, PlanError for no login."""
    if cluster.os.proxy is None or cluster.os.proxy.login_file is None:
        return ""
    login = stored(cluster.os.proxy.login_file, "os.proxy.login_file")
    if not LOGIN.fullmatch(login):
        raise PlanError("the login of os.proxy is none", "write USER:PASSWORD into its login_file, or variable")
    return login


def recipients(store: Store, cluster: Cluster) -> tuple[str, ...]:
    """Whom hosts seal backups for. Raises PlanError when nobody else could open them."""
    if not cluster.backup.schedule:
        return ()
    if not (found := seal.backup_recipients(store, cluster)):
        raise PlanError(
            "backup.schedule: who has lost this machine could not open what the etcd hosts seal",
            "run `quorate passphrase`, or write a public key into state.recipients",
        )
    return found


def place_keys(cluster: Cluster) -> dict[int, str]:
    """What lets hosts in where they bring backups to. Raises LocalError for a file that can't be read, PlanError for
    no login.
    """
    found: dict[int, str] = {}
    for index, place in enumerate(cluster.backup.places if cluster.backup.schedule else ()):
        where = f"backup.places[{index}]"
        if place.ssh:
            found[index] = private(place.ssh.key, f"{where}.ssh.key")
        elif place.s3:
            found[index] = stored(place.s3.login_file, f"{where}.s3.login_file") + "\n"
            if not LOGIN.fullmatch(found[index].strip()):
                raise PlanError(f"the login of {where}.s3 is none", "write ACCESS_KEY:SECRET_KEY into its login_file")
    return found


def _ended(text: str) -> str:
    """The text with an end of line at its end: only so a here-document carries it (see `render.sh.heredoc`)."""
    return text if text.endswith("\n") else f"{text}\n"


def _fetched(source: str) -> str:
    """The text at a URL. Raises ArtifactError."""
    import httpx2

    hint = "fetch it by hand and name the file in network.manifest"
    try:
        reply = httpx2.get(source, follow_redirects=True, timeout=30)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ArtifactError(f"network.manifest: {source}: {error}", hint) from error
    if reply.status_code != 200:
        raise ArtifactError(f"network.manifest: {source} answers {reply.status_code}", hint)
    return reply.text
