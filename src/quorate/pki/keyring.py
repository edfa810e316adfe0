"""What is there and what is missing: completes a set of PEMs and random values to what a cluster needs.

Nothing is thrown away and no CA is ever replaced: what would cut hosts off is an error with the way out.
"""

import base64
import re
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from quorate.core import QuorateError
from quorate.pki import old_keys
from quorate.pki.issue import (
    PkiError,
    fits,
    inspect,
    issue_ca,
    issue_leaf,
    load_cert,
    load_key,
    new_key,
    public_pem,
)
from quorate.pki.profiles import AUTHORITIES, Authority, Wanted, certificates
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import ENCRYPTION_KEY, ETCD_TOKEN, Secrets

CA_WARNING = timedelta(days=30)
RANDOM = {
    ENCRYPTION_KEY: old_keys.KEY,
    ETCD_TOKEN: r"[A-Za-z0-9._-]{1,64}",
}
"""Random values and what each looks like: they go into configuration files."""


@dataclass
class Keyring:
    """The work on one set: `found` goes in, `made` and the reasons come out.

    `where` tells the file of an id, for messages. `now` has a time zone.
    """

    cluster: Cluster
    found: Mapping[str, bytes] = field(repr=False)
    now: datetime
    where: Callable[[str], str]
    made: dict[str, bytes] = field(default_factory=dict, repr=False)
    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def complete(self) -> Secrets:
        """All that the cluster needs, in the order in which it must be written: what others hang on first.

        Raises QuorateError, naming the file and the fix, for what can't be used and must not be replaced.
        """
        wanted = certificates(self.cluster)
        random = {id: self._random(id) for id in RANDOM}
        self._service_account()
        for authority in AUTHORITIES:
            self._authority(authority, wanted)
        for want in wanted:
            self._leaf(want)
        old = old_keys.read(self.found, self._refuse)
        pems = {id: self._have(id) for id in pem_ids(wanted)}
        pems["sa.pub"] = b"".join((pems["sa.pub"], *old.service_accounts))
        return Secrets(pems, random, old.encryption)

    def _have(self, id: str) -> bytes:
        return self.made.get(id) or self.found[id]

    def _make(self, id: str, content: bytes, why: str = "") -> None:
        self.made[id] = content
        if why:
            self.changes.append(why)

    def _refuse(self, id: str, what: str, fix: str) -> QuorateError:
        return QuorateError(f"{self.where(id)}: {what}", fix)

    def _random(self, id: str) -> str:
        if id in self.found:
            return self._known(id, self.found[id])
        if id == ENCRYPTION_KEY and "ca.key" in self.found:
            raise self._refuse(id, "is gone; without it no Secret in etcd can be read", "put it back from a backup")
        text = _fresh(id)
        self._make(id, text.encode())
        return text

    def _known(self, id: str, content: bytes) -> str:
        text = content.decode("ascii", "replace").strip()
        if not re.fullmatch(RANDOM[id], text):
            raise self._refuse(id, "is damaged", "put it back from a backup")
        return text

    def _authority(self, authority: Authority, wanted: tuple[Wanted, ...]) -> None:
        """Check a CA, or make one when nothing hangs on it yet; a lost certificate is made from its key."""
        crt, key = f"{authority.id}.crt", f"{authority.id}.key"
        if key not in self.found:
            if crt in self.found:
                raise self._refuse(key, f"missing, but {crt} is there", "put it back from a backup")
            if any(want.ca == authority.id and f"{want.id}.crt" in self.found for want in wanted):
                raise self._refuse(
                    crt,
                    "missing, but certificates that it signed are there",
                    f"put {crt} and {key} back from a backup; a new CA would cut off every host",
                )
            self._make(key, new_key(self.cluster.pki.algorithm))
        elif crt in self.found:
            self._check_authority(crt, key)
            return
        else:
            self._read(key)
        serial, days = x509.random_serial_number(), self.cluster.pki.ca_days
        made = issue_ca(authority.cn, self.cluster.name, self._have(key), now=self.now, days=days, serial=serial)
        self._make(crt, made, f"{authority.id}: " + ("again from its key" if key in self.found else "new"))

    def _check_authority(self, crt: str, key: str) -> None:
        self._read(crt)
        self._read(key)
        info = inspect(self.found[crt])
        backup = "put back the pair that belongs together, from a backup"
        again = f"move {crt} away: it is then made again from its key, and the hosts go on trusting it"
        if load_key(self.found[key]).public_key() != load_cert(self.found[crt]).public_key():
            raise self._refuse(crt, f"is not the certificate of {key}", backup)
        if not info.ca or "keyCertSign" not in info.usages:
            raise self._refuse(crt, "is not a CA's certificate", backup)
        if info.not_after <= self.now:
            raise self._refuse(crt, f"expired on {info.not_after:%Y-%m-%d}", again)
        if info.not_before > self.now:
            late = (info.not_before - self.now).total_seconds()
            since = f"{info.not_before:%Y-%m-%d %H:%M}"
            what = f"is not valid before {since}, by this machine's clock for another {late:.0f} s"
            raise self._refuse(crt, what, "set this machine's clock")
        if info.not_after - self.now < CA_WARNING:
            self.warnings.append(f"{self.where(crt)}: expires on {info.not_after:%Y-%m-%d}; {again}")

    def _service_account(self) -> None:
        """The pair that signs service account tokens: of no CA, and of nobody else."""
        key, pub = "sa.key", "sa.pub"
        if key not in self.found:
            if pub in self.found or "ca.key" in self.found:
                raise self._refuse(
                    key,
                    "missing; a new one would end every service account token",
                    "put it back from a backup",
                )
            self._make(key, new_key(self.cluster.pki.algorithm), "sa: new")
        else:
            self._read(key)
        public = public_pem(self._have(key))
        if self.found.get(pub) != public:
            self._make(pub, public, "" if key in self.made else "sa.pub: again from its key")

    def _leaf(self, want: Wanted) -> None:
        """Keep a certificate that fits; else a new key and a new certificate."""
        crt, key = f"{want.id}.crt", f"{want.id}.key"
        pki, ca = self.cluster.pki, self._have(f"{want.ca}.crt")
        if crt not in self.found:
            why: str | None = "new"
        elif key not in self.found:
            why = "its key is gone"
        else:
            self._read(crt)
            self._read(key)
            # Half of a short life must be left in peace, or every run would renew.
            days = timedelta(days=min(pki.renew_before_days, pki.leaf_days / 2))
            why = fits(
                self.found[crt],
                self.found[key],
                want,
                ca,
                now=self.now,
                renew_before=days,
                algorithm=pki.algorithm,
            )
        if why is None:
            return
        self._make(key, new_key(pki.algorithm))
        made = issue_leaf(
            want,
            self.made[key],
            ca,
            self._have(f"{want.ca}.key"),
            now=self.now,
            days=pki.leaf_days,
            serial=x509.random_serial_number(),
        )
        self._make(crt, made, f"{want.id}: {why}")

    def _read(self, id: str) -> None:
        """Refuse a damaged PEM: what it was is for the operator to find out, not for us to overwrite."""
        try:
            if id.endswith(".key"):
                load_key(self.found[id])
            else:
                inspect(self.found[id])
        except PkiError as error:
            vital = id.split(".")[0] in {"ca", "etcd-ca", "front-proxy-ca", "sa"}
            fix = "put it back from a backup" if vital else "move it away: it is then made again"
            raise self._refuse(id, str(error), fix) from None


def pem_ids(wanted: tuple[Wanted, ...]) -> Iterator[str]:
    """Ids of every PEM of a cluster."""
    for authority in AUTHORITIES:
        yield from (f"{authority.id}.crt", f"{authority.id}.key")
    yield from ("sa.key", "sa.pub")
    for want in wanted:
        yield from (f"{want.id}.crt", f"{want.id}.key")


def _fresh(id: str) -> str:
    if id == ENCRYPTION_KEY:
        return base64.b64encode(randomness.token_bytes(32)).decode()
    return randomness.token_hex(8)
