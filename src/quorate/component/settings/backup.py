"""What a host is told to take a backup: how its etcd is asked, what belongs to it, what the manifest says."""

import base64
import hashlib

from quorate.pki import profiles
from quorate.render.sh import sh
from quorate.render.snapshot import Taking
from quorate.spec import layout, versions
from quorate.spec.cluster import Cluster, Host
from quorate.spec.processes import unit_names
from quorate.spec.secrets import ENCRYPTION_KEY_NAME, Secrets

PARTS = ("etcd", "containerd", "docker", "runc", "cni_plugins", "coredns", "metrics_server", "crictl")
_TLS = (f"--cacert={profiles.ETCD_CA}", f"--cert={profiles.ETCD_CLIENT}", f"--key={profiles.ETCD_CLIENT_KEY}")

_CURL = ("--cacert", profiles.ETCD_CA, "--cert", profiles.ETCD_CLIENT, "--key", profiles.ETCD_CLIENT_KEY)


def taking(c: Cluster, host: Host, secrets: Secrets) -> Taking:
    """What the script that takes a snapshot on an etcd host needs to know."""
    installed = all_versions(c)
    keys = (ENCRYPTION_KEY_NAME, *(key.name for key in secrets.old_encryption)) if c.apiserver.encrypt_secrets else ()
    return Taking(
        programs=layout.BIN,
        ask="ETCDCTL_API=3 " + sh(f"{layout.BIN}/etcdctl", *_TLS, "--endpoints=https://127.0.0.1:2379"),
        version=sh("curl", "-sf", "--noproxy", "*", "--max-time", "5", *_CURL, "https://127.0.0.1:2379/version"),
        restorers=versions.restorers(installed["etcd"]),
        quota=c.etcd.quota_bytes,
        told={
            "cluster": c.name,
            "host": host.name,
            "kubernetes": c.versions.kubernetes,
            "versions": installed,
            "encryption_keys": list(dict.fromkeys(keys)),
            "ca": fingerprints(secrets),
        },
        config=(
            *(layout.KUBERNETES, "/etc/etcd", layout.BALANCER),
            *(f"{layout.UNITS}/{unit}" for unit in unit_names()),
        ),
        mark=f"{layout.COPY}/last",
    )


def all_versions(c: Cluster) -> dict[str, str]:
    """The version of each part: the file's, else that of the table's row."""
    row = versions.table(c.versions.kubernetes)
    found = {part: getattr(c.versions, part) or getattr(row, part, None) for part in PARTS}
    if c.runtime.kind != "docker":
        del found["docker"]
    return {"kubernetes": c.versions.kubernetes, **{part: str(version) for part, version in found.items() if version}}


def fingerprints(secrets: Secrets) -> dict[str, str]:
    """SHA-256 of each authority's certificate (DER), by its id."""
    found: dict[str, str] = {}
    for each in profiles.AUTHORITIES:
        lines = [line for line in secrets.text(f"{each.id}.crt").splitlines() if not line.startswith("-")]
        found[each.id] = hashlib.sha256(base64.b64decode("".join(lines))).hexdigest()
    return found
