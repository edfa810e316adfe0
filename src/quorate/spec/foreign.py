"""Names that are no fields of ours: what other tools call so, and where it stands here.

Nothing is proposed that would not take the value, or that the file has already.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from quorate.spec import words
from quorate.spec.cluster import Cluster, Versions
from quorate.spec.mend import alone, flow, mended
from quorate.spec.shape import fields_at, fits, has, kind_of
from quorate.spec.tree import Tree, Where

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "addr": ("address",),
    "address": ("host",),
    "bastion": ("jump",),
    "ca": ("ca_file",),
    "cidr": ("pod_cidr",),
    "cluster_cidr": ("pod_cidr",),
    "cri": ("runtime",),
    "dns_name": ("name",),
    "domain": ("dns_domain",),
    "hostname": ("name", "host"),
    "identity": ("key",),
    "identity_file": ("key",),
    "ip": ("address", "host"),
    "jump_host": ("jump",),
    "key_file": ("key",),
    "key_path": ("key",),
    "loadbalancer": ("load_balancer",),
    "login": ("user",),
    "mirrors": ("registry_mirrors",),
    "name": ("host",),
    "nodes": ("hosts",),
    "pod_subnet": ("pod_cidr",),
    "private_ip": ("address",),
    "private_key_file": ("key",),
    "proxy_jump": ("jump",),
    "role": ("roles",),
    "sans": ("extra_sans",),
    "service_subnet": ("service_cidr",),
    "type": ("kind",),
    "virtual_ip": ("vip",),
    "vrid": ("virtual_router_id",),
}
"""Names from other tools that difflib would not lead to ours."""
INSTEAD = {
    "addons": "remove it: CoreDNS and metrics-server are the sections `dns` and `metrics`",
    "external": "remove it: etcd's members are hosts of this file with the role etcd",
}
"""What to do about names that stand for something quorate has otherwise, or not at all."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "proxy", "proxy_url", "http_proxy_url")
"""What people call the way out of hosts, wherever they write it."""
_SECRET = re.compile(r"(?i)pass|pwd|secret|token|private_?key")
_ASKING = {"password_file", "sudo_password_file", "ask_password", "ask_sudo_password"}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def secret(where: Where) -> bool:
    """Whether a field looks as if somebody wrote a secret into it; its value must not be shown."""
    name = str(where[-1]) if where else ""
    return bool(_SECRET.search(name)) and not name.endswith("_file") and not name.startswith("ask_")


def unknown(where: Where, root: type[BaseModel], given: object, tree: Tree) -> str:
    """What to do with a field that there is not."""
    name, around = str(where[-1]), where[:-1]
    known = fields_at(around, root)
    plain = _CAMEL.sub("_", name).lower().replace("-", "_")
    if secret(where) and plain not in known and not get_close_matches(plain, set(known) - _ASKING, 1, 0.8):
        return _secret_fix(plain, known)
    if plain not in known and (plain in _PROXIES or where == ("proxy", "url")) and isinstance(given, str | dict):
        return "remove it: `os.proxy` is there already" if has(tree.data, ("os", "proxy")) else out(given)
    if plain == "no_proxy":
        return _no_proxy(tree)
    if plain in INSTEAD:
        return INSTEAD[plain]
    if part := _part(plain, around):
        return _version(part, given, tree)
    close = [one for one in SYNONYMS.get(plain, ()) if one in known] or get_close_matches(plain, known, 1, 0.6)
    for one in close:
        if has(tree.data, (*around, one)):
            return f"remove it: `{one}` is there already"
        if fits(kind_of(known[one]), given):
            return f"did you mean `{one}`?"
        if meant := alone((*around, one), root, given):
            return f"write `{one}: {flow(meant)}`"
    return _elsewhere(plain, around, root, given, tree) or f"remove it; known here: {', '.join(sorted(known))}"


def out(given: object) -> str:
    """How to write the way out of hosts, of which somebody wrote in another place or form."""
    said = given.values() if isinstance(given, dict) else [given]
    meant = (mended(each, words.PROXY.pattern) for each in said if isinstance(each, str))
    url = next(filter(None, meant), "http://HOST:PORT")
    return f"write `os: {{proxy: {{url: '{url}'}}}}`: image pulls and the package manager go through that"


def _no_proxy(tree: Tree) -> str:
    if has(tree.data, ("os", "proxy")):
        return "write it into `os.proxy`, as a list: the cluster's own addresses and networks are in it anyway"
    return "remove it: nothing of the cluster goes through a proxy, unless there is `os.proxy`, which has `no_proxy`"


def _part(plain: str, around: Where) -> str:
    """The program whose version a field means: `kubernetes_version` anywhere, `version` in etcd's section."""
    if plain == "version":
        plain = f"{around[-1] if around else 'kubernetes'}_version"
    part = plain.removesuffix("_version")
    part = "kubernetes" if part in ("k8s", "kube") else part
    known = fields_at(("versions",), Cluster)
    return part if part in known and (part != plain or around == ("versions",) or part == "kubernetes") else ""


def _version(part: str, given: object, tree: Tree) -> str:
    if has(tree.data, ("versions", part)):
        return f"remove it: `versions.{part}` is there already"
    meant = mended(str(given), words.VERSION.pattern) if isinstance(given, str | float) else ""
    usual = Versions().kubernetes if part == "kubernetes" else "..."
    return f"write `versions: {{{part}: '{meant or usual}'}}`"


def _elsewhere(plain: str, around: Where, root: type[BaseModel], given: object, tree: Tree) -> str:
    """The section that has such a field: the top of the file, one below, or another one; empty when there is none."""
    top = Cluster.model_fields
    if (
        plain in top
        and around
        and root is Cluster
        and not has(tree.data, (plain,))
        and fits(kind_of(top[plain]), given)
    ):
        return f"`{plain}` belongs at the top of the file, without indentation"
    for section in fields_at(around, root):
        field = plain.removeprefix(f"{section}_")
        if _takes((*around, section), field, root, given, tree):
            return f"it belongs in `{section}`: write `{section}: {{{field}: ...}}`"
    others = [one for one in top if root is Cluster and around and _takes((one,), plain, Cluster, given, tree)]
    if len(others) == 1 and plain != "name":  # everything has one
        return f"it belongs in `{others[0]}`, at the top of the file: write `{others[0]}: {{{plain}: ...}}`"
    return ""


def _takes(section: Where, name: str, root: type[BaseModel], given: object, tree: Tree) -> bool:
    """Whether a section has such a field, for such a value, and the file has none there."""
    info: FieldInfo | None = fields_at(section, root).get(name) if section != ("hosts",) else None
    return info is not None and not has(tree.data, (*section, name)) and fits(kind_of(info), given)


def _secret_fix(plain: str, known: Mapping[str, FieldInfo]) -> str:
    """Where a secret belongs that somebody wrote into the file."""
    if "key" in known and ("key" in plain or plain == "passphrase"):
        return "remove it: never write a secret here; name the key's file in `key`, its passphrase is asked for"
    field = "sudo_password_file" if plain.startswith(("sudo", "become")) else "password_file"
    for name in (field, "login_file"):
        if name in known:
            return f"remove it: never write a secret here; put it into a file of mode 0600 and name that in `{name}`"
    return "remove it: never write a secret here"
