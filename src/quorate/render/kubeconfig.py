"""kubeconfig files: one cluster, one user, one context; the same input gives the same text."""

import base64

from quorate.render import yaml


def kubeconfig(
    server: str,
    ca_pem: bytes,
    user: str,
    *,
    cert_pem: bytes | None = None,
    key_pem: bytes | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    cluster: str = "kubernetes",
    tls_server_name: str | None = None,
) -> str:
    """Text of a kubeconfig. `server` is a URL.

    The user's pair is either embedded (`cert_pem`, `key_pem`) or named by paths on the host (`cert_file`,
    `key_file`: for a kubelet, who rotates them). `tls_server_name` is the name to expect in the server's
    certificate when it is reached by another one. Raises ValueError when the pair is not given in exactly one
    of the two ways.
    """
    if cert_pem and key_pem and not (cert_file or key_file):
        pair = {"client-certificate-data": _base64(cert_pem), "client-key-data": _base64(key_pem)}
    elif cert_file and key_file and not (cert_pem or key_pem):
        pair = {"client-certificate": cert_file, "client-key": key_file}
    else:
        raise ValueError("a kubeconfig needs a certificate and a key: both embedded, or both as paths")
    access = {"certificate-authority-data": _base64(ca_pem), "server": server}
    if tls_server_name:
        access["tls-server-name"] = tls_server_name
    context = f"{user}@{cluster}"
    return yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": access}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
            "current-context": context,
            "users": [{"name": user, "user": pair}],
        }
    )


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
