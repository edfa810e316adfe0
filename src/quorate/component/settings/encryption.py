"""Encryption of Secret objects in etcd."""


def config(*keys_base64: str) -> dict[str, object]:
    """EncryptionConfiguration for Secrets; the result is a secret itself.

    Each key is 32 random bytes in base64. The first one encrypts, all of them decrypt: a new key is put in
    front, and old keys stay until every Secret has been written again. secretbox (XSalsa20-Poly1305) since,
    unlike aescbc, it authenticates, and needs no key management service. `identity` reads what was written
    before encryption.
    """
    # A key's name is written with the data: keep it with the key when another comes before it.
    names = [f"key{len(keys_base64) - index}" for index in range(len(keys_base64))]
    keys = [{"name": name, "secret": key} for name, key in zip(names, keys_base64, strict=True)]
    providers = [{"secretbox": {"keys": keys}}, {"identity": {}}]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
