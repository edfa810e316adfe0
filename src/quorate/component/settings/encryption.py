"""Encryption of Secret objects in etcd."""

from quorate.spec.secrets import EncryptionKey


def config(*keys: EncryptionKey) -> dict[str, object]:
    """EncryptionConfiguration for Secrets; the result is a secret itself.

    The first one encrypts, all of them decrypt: old keys stay until every Secret has been written again. Of several
    keys of a name, all are tried. secretbox (XSalsa20-Poly1305) since, unlike aescbc, it authenticates, so that a wrong
    key is known for one, and needs no key management service. `identity` reads what was written before encryption.
    """
    named = [{"name": key.name, "secret": key.secret} for key in keys]
    providers = [{"secretbox": {"keys": named}}, {"identity": {}}]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
