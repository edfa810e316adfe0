"""Keys of before: their files, what is made of them, and what is damaged."""

import base64
import os
from datetime import datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.component.settings import encryption
from quorate.core import QuorateError
from quorate.pki import old_keys
from quorate.pki.issue import new_key, public_pem
from quorate.pki.keyring import Keyring
from quorate.spec.cluster import Cluster
from quorate.spec.secrets import EncryptionKey, OldKeys, Secrets

PUBLIC = tuple(sorted((public_pem(new_key("ecdsa-p256")), public_pem(new_key("rsa-2048"))), key=old_keys.short))
SECRET = base64.b64encode(os.urandom(32)).decode()
OLD = OldKeys((EncryptionKey("key1", SECRET),), PUBLIC)


def refused(id: str, what: str, fix: str) -> QuorateError:
    return QuorateError(f"{id}: {what}", fix)


names = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
secrets_ = st.binary(min_size=32, max_size=32).map(lambda key: base64.b64encode(key).decode())
keys = st.lists(st.builds(EncryptionKey, names, secrets_), max_size=4, unique=True)


@given(keys, st.sets(st.sampled_from(PUBLIC)))
def test_what_is_kept_is_what_is_read(found: list[EncryptionKey], public: set[bytes]) -> None:
    files = old_keys.files(OldKeys(tuple(found), tuple(public)))
    others = {"encryption-key": b"x", "sa.pub": b"x", "sa.key": b"x", "etcd-token": b"x"}
    again = old_keys.read({**others, **files}, refused)
    assert set(again.encryption) == set(found)
    assert set(again.service_accounts) == public
    assert len(files) == len(found) + len(public), "each has a file of its own, also two of a name"
    assert old_keys.ids([*others, *files]) == sorted(files)


@pytest.mark.parametrize("id", old_keys.files(OLD))
def test_a_damaged_one_is_named_and_not_shown(id: str) -> None:
    files = old_keys.files(OLD)
    other = old_keys.files(OldKeys((EncryptionKey("key1", "A" * 43 + "="),), (public_pem(new_key("ecdsa-p256")),)))
    whole = next(content for name, content in other.items() if name[:3] == id[:3])
    for wrong in (b"", b"?" + files[id][1:], files[id][:-9], whole):
        with pytest.raises(QuorateError, match="is damaged") as caught:
            old_keys.read({**files, id: wrong}, refused)
        assert id in str(caught.value)
        assert SECRET not in str(caught.value)


def test_they_read_and_verify_and_the_present_ones_write_and_sign(
    cluster: Cluster, secrets: Secrets, now: datetime
) -> None:
    found = {**secrets.pems, **{id: text.encode() for id, text in secrets.random.items()}}
    ring = Keyring(cluster, {**found, **old_keys.files(OLD)}, now, lambda id: f"/s/{id}")
    got = ring.complete()
    assert (ring.made, ring.changes) == ({}, [])
    assert got.pem("sa.pub") == secrets.pem("sa.pub") + PUBLIC[0] + PUBLIC[1]
    assert got.pem("sa.key") == secrets.pem("sa.key")
    writes, reads = got.encryption_keys
    assert (writes.secret, reads) == (secrets.random["encryption-key"], OLD.encryption[0])
    assert {id: pem for id, pem in got.pems.items() if id != "sa.pub"} == {
        id: pem for id, pem in secrets.pems.items() if id != "sa.pub"
    }
    (resource,) = encryption.config(*got.encryption_keys)["resources"]  # type: ignore[misc]
    first, last = resource["providers"]  # type: ignore[index]
    assert [each["secret"] for each in first["secretbox"]["keys"]] == [writes.secret, SECRET]  # type: ignore[index]
    assert last == {"identity": {}}
    told = repr(got) + repr(OLD)
    assert not [text for text in chain([SECRET], secrets.random.values()) if text in told]
