"""How containerd, Docker and the kubelet ask registries and mirrors: paths, authorities, logins."""

import base64
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from quorate.spec.cluster import Cluster
from quorate.spec.rules.registries import HUB

Hosts = dict[str, dict[str, object]]
_HUB_SERVER = "registry-1.docker.io"
"""Who answers for it."""


def registries(c: Cluster) -> list[str]:
    """Registries whose images are asked for otherwise than containerd does by itself."""
    runtime = c.runtime
    return list(dict.fromkeys([*runtime.registry_mirrors, *runtime.insecure_registries, *runtime.registry_access]))


def hosts(c: Cluster, registry: str, logins: Mapping[str, str], authorities: Mapping[str, str]) -> Hosts:
    """Whom containerd asks for a registry's images, in this order: its mirrors, then itself where more is told of it.

    An insecure one is asked over TLS without a look at its certificate, then without TLS, as Docker does. `logins` and
    `authorities`: `USER:PASSWORD`, and the path of the PEM on the hosts, by server.
    """
    insecure = c.runtime.insecure_registries
    urls = list(c.runtime.registry_mirrors.get(registry, ()))
    if registry in insecure:
        urls += [f"https://{registry}", f"http://{registry}"]
    elif registry in c.runtime.registry_access:
        urls.append(f"https://{_HUB_SERVER if registry == HUB else registry}")
    found: Hosts = {}
    for url in urls:
        parts = urlsplit(url)
        about: dict[str, object] = {"capabilities": ["pull", "resolve"]}
        # containerd appends /v2 to a path, unless it is told to leave it alone.
        access = c.runtime.registry_access.get(parts.netloc)
        as_it_is = access.override_path if access else None
        if "v2" in parts.path.split("/") if as_it_is is None else as_it_is and parts.path.strip("/"):
            about["override_path"] = True
        if parts.scheme == "https" and parts.netloc in insecure:
            about["skip_verify"] = True
        known = HUB if parts.netloc == _HUB_SERVER else parts.netloc
        if known in authorities:
            about["ca"] = authorities[known]
        if known in logins:
            about["header"] = {"Authorization": [f"Basic {_encoded(logins[known])}"]}
        found[url] = about
    return found


def credentials(c: Cluster, logins: Mapping[str, str]) -> str:
    """The kubelet's credential file: what it hands to the runtime for images of these registries.

    The runtime gives that to whom it asks for the image, so there is nothing in it for a registry that has mirrors:
    those would get what is not theirs.
    """
    # Docker's own name of the hub, from before registries had names.
    names = {server: "https://index.docker.io/v1/" if server == HUB else server for server in logins}
    own = sorted(server for server in logins if not c.runtime.registry_mirrors.get(server))
    auths = {names[server]: {"auth": _encoded(logins[server])} for server in own}
    return json.dumps({"auths": auths}, indent=2) + "\n"


def _encoded(login: str) -> str:
    return base64.b64encode(login.encode()).decode("ascii")
