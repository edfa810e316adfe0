"""Encryption of Secret objects in etcd."""


def config(*keys_base64: str) -> dict[str, object]:
    """EncryptionConfiguration for Secrets; the result is a secret itself.

    Each key is 32 random bytes in base64. The first one encrypts, all of them decrypt: a new key is put in
    front, and old keys stay until every Secret has been written again. secretbox (XSalsa20-Poly1305) since,
    unlike aescbc, it authenticates, and needs no key management service. `identity` reads what was written
    before encryption.
    """
    keys = [{"name": name, "secret": key} for name, key in zip(key_names(len(keys_base64)), keys_base64, strict=True)]
    providers = [{"secretbox": {"keys": keys}}, {"identity": {}}]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }


def key_names(number: int) -> tuple[str, ...]:
    """Names of so many keys, the one that encrypts first.

    A key's name is written with the data: it keeps it when another comes before it.
    """
    return tuple(f"key{number - index}" for index in range(number))
