"""The keys in a backup beside those of the state folder: which are other ones, which come along, what that means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from quorate.backup.archive import OpenedSet
from quorate.backup.manifest import FIX
from quorate.core import QuorateError
from quorate.operation.stage import Refusal
from quorate.pki import old_keys
from quorate.pki.issue import PkiError, public_pem
from quorate.pki.old_keys import short
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import ENCRYPTION_KEY, ENCRYPTION_KEY_NAME, EncryptionKey, OldKeys
from quorate.state.store import Store

CA, ETCD_CA, FRONT_PROXY_CA = AUTHORITIES = ("pki/ca.crt", "pki/etcd-ca.crt", "pki/front-proxy-ca.crt")
SERVICE_ACCOUNTS, ENCRYPTION = "pki/sa.key", f"random/{ENCRYPTION_KEY}"
KEYS = {
    CA: "the cluster's authority",
    ETCD_CA: "etcd's authority",
    FRONT_PROXY_CA: "the authority of aggregated API servers",
    SERVICE_ACCOUNTS: "the key of service accounts",
    ENCRYPTION: "the key with which Secrets are encrypted",
}
"""What data and everybody who comes with a certificate or a token depend on, by its file in the state folder."""
GOES_ON = {
    CA: "client certificates and kubeconfigs of the other one are not believed, and what in the data names it "
    "(webhooks, APIs of others, pods that read it once) needs the present one",
    ETCD_CA: "certificates for etcd of the other one are not believed",
    FRONT_PROXY_CA: "aggregated API servers that know the other one alone need the present one",
}
"""What follows where the cluster goes on with an authority that is not the backup's."""
OWN = (SERVICE_ACCOUNTS, ENCRYPTION, "copy/identity")
"""Files that no other cluster has; an authority may be one that a site gave to several."""


@dataclass(frozen=True)
class Compared:
    """The keys of a backup and those of now, by their files in the state folder."""

    name: str
    """Of the backup."""
    then: Mapping[str, bytes]
    now: Mapping[str, bytes]

    @cached_property
    def differ(self) -> tuple[str, ...]:
        """The files of `KEYS` that are others now. An authority stays the same with another certificate of its key."""
        both = [file for file in KEYS if file in self.then and file in self.now]
        return tuple(file for file in both if not self._same(file) and not self._same(file.replace(".crt", ".key")))

    def _same(self, file: str) -> bool:
        return file in self.then and self.then[file] == self.now.get(file)

    @cached_property
    def of_one_cluster(self) -> bool:
        """Whether something secret is in both, so that they are of one cluster at two times."""
        return any(file in self.then and self.then[file] in self._secrets for file in OWN)

    @property
    def _secrets(self) -> set[bytes]:
        """What no other cluster has of the state folder, also what it wrote with once."""
        return {content for file, content in self.now.items() if file in OWN or file.startswith(f"{ENCRYPTION}.")}

    @cached_property
    def brought(self) -> OldKeys:
        """What the backup's data need to be read, and its tokens to be verified, and the state folder lacks.

        Raises QuorateError for a key that is damaged.
        """
        then, now = every(self.then, self.name), every(self.now, "the state folder")
        return OldKeys(
            tuple(key for key in then.encryption if key not in now.encryption),
            tuple(key for key in then.service_accounts if key not in now.service_accounts),
        )

    @property
    def names(self) -> set[str]:
        """Names of all encryption keys that are here or come along."""
        return {key.name for files in (self.then, self.now) for key in every(files, self.name).encryption}


def compared(opened: OpenedSet, store: Store) -> Compared:
    """A backup's keys beside those of a state folder."""
    paths = [path for folder in ("pki", "random", "copy") for path in store.path.glob(f"{folder}/*")]
    now = {str(path.relative_to(store.path)): (store.read(path) or b"").strip() for path in paths}
    return Compared(opened.whole.name, files_of(opened), now)


def refusals(opened: OpenedSet, cluster: Cluster, found: Compared) -> Iterator[Refusal]:
    """What keeps the cluster, with the keys that it has and those that come along, from using what is in a backup."""
    name, told = found.name, opened.manifest
    lacking = [file for file in KEYS if file not in found.then]
    for file in lacking:
        yield Refusal(f"{name} lacks {KEYS[file]} ({file}): its data could not be used", "name another backup")
    if lacking:
        return
    if found.differ and not found.of_one_cluster:
        others = ", ".join(f"{KEYS[file]} ({file})" for file in found.differ)
        yield Refusal(
            f"{name} has no key that this cluster ever had: it is of another one of that name. Other ones are {others}",
            f"name another backup; for that cluster `quorate adopt {name}.backup --into FOLDER`, and restore there",
        )
        return
    try:
        _ = found.brought
        unknown = sorted(set(told.encryption_keys) - found.names)
    except QuorateError as error:
        yield Refusal(error.message, error.hint)
        return
    if unknown:
        yield Refusal(
            f"Secrets in {name} are encrypted with {', '.join(unknown)}, which it lacks, and the state folder as well",
            "name another backup",
        )
    if told.encryption_keys and not cluster.apiserver.encrypt_secrets:
        yield Refusal(
            f"Secrets in {name} are encrypted, and apiserver.encrypt_secrets is false: no API server could read them",
            "restore into a cluster that was built with apiserver.encrypt_secrets: true",
        )


def told(found: Compared) -> Iterator[str]:
    """What a reader has to know of keys before he says yes."""
    brought = found.brought
    keys = [f"encryption key {key.name} ({short(key.secret.encode())})" for key in brought.encryption]
    keys += [f"key of service accounts ({short(public)})" for public in brought.service_accounts]
    if keys:
        yield f"keys of that time are added for reading: {', '.join(keys)}; nothing is written or signed with them"
    if brought.service_accounts:
        yield (
            "who has the key of service accounts of that time is believed again, until it is taken out of the state "
            "folder"
        )
    for file in AUTHORITIES:
        if file in found.differ:
            yield f"{KEYS[file]} stays the present one, and not that of the backup: {GOES_ON[file]}"


def every(files: Mapping[str, bytes], name: str) -> OldKeys:
    """All keys that read and verify, those in use first, by their files in a state folder.

    Raises QuorateError that names the file and `name` for one that is damaged.
    """

    def refuse(file: str, what: str, fix: str) -> QuorateError:
        return QuorateError(f"{file} of {name}: {what}", fix)

    old = old_keys.read({file.rpartition("/")[2]: content for file, content in files.items()}, refuse)
    writes: tuple[EncryptionKey, ...] = ()
    signs: tuple[bytes, ...] = ()
    if (key := files.get(ENCRYPTION)) is not None:
        if not old_keys.is_key(key):
            raise refuse(ENCRYPTION, "is damaged", FIX)
        writes = (EncryptionKey(ENCRYPTION_KEY_NAME, key.decode()),)
    if (key := files.get(SERVICE_ACCOUNTS)) is not None:
        try:
            signs = (public_pem(key),)
        except PkiError as error:
            raise refuse(SERVICE_ACCOUNTS, str(error), FIX) from None
    return OldKeys((*writes, *old.encryption), (*signs, *old.service_accounts))


def files_of(opened: OpenedSet) -> dict[str, bytes]:
    """What the state folder in a backup has."""
    entries = opened.bundle.entries.items()
    return {name.removeprefix("state/"): entry.content.strip() for name, entry in entries if name.startswith("state/")}
