"""Things inside the cluster and its runtimes: API objects and container images."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from quorate.core import Action, Blob, Probe, State
from quorate.render.prelude import CREDENTIAL
from quorate.render.sh import heredoc, quote, sh
from quorate.resource.resource import Resource
from quorate.spec.layout import BIN, STATE, kubeconfig

_NONE = "none"
"""Instead of `=VALUE`."""


def kubectl(server: str, config: str = kubeconfig("admin"), *, timeout: str = "10s") -> str:
    """kubectl as the admin, at one API server, as a piece of sh to append arguments to."""
    return sh(f"{BIN}/kubectl", f"--kubeconfig={config}", f"--server={server}", f"--request-timeout={timeout}")


def unless_away(server: str) -> str:
    """sh that ends here when the API server is away, which the tool finds out that starts fastest."""
    ask = "curl -gsfk --noproxy '*' --connect-timeout 1 --max-time 3 -o /dev/null"
    return f"{ask} {quote(server + '/readyz')} || exit 0\n"


@dataclass(frozen=True, kw_only=True)
class Manifest(Resource):
    """API objects, applied server-side by kubectl on a control-plane host."""

    kind: ClassVar[str] = "manifest"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    title: str
    text: str = field(repr=False)
    server: str
    """The API server to talk to: the host's own."""
    credential: str = field(default="", repr=False)
    """A kubeconfig for applying, where the admin's rights are not there yet; it touches no disk."""

    @property
    def name(self) -> str:
        """Its title."""
        return self.title

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credential, and the text: what others bring along may have Secrets in it."""
        return tuple(each for each in (self.credential, self.text if "kind: Secret" in self.text else "") if each)

    @property
    def desired(self) -> State:
        """As in the text; the digest tells versions of the text apart in a plan."""
        return {"objects": "as wanted", "text": hashlib.sha256(self.text.encode()).hexdigest()}

    def _record(self) -> str:
        return quote(f"{STATE}/manifest-{hashlib.sha256(self.title.encode()).hexdigest()[:16]}")

    def _revisions(self) -> str:
        """sh that prints which revision of each object is there; what is applied again changes none."""
        template = (
            '{{define "o"}}{{.kind}} {{.metadata.name}} {{.metadata.uid}} '
            "{{if .metadata.generation}}{{.metadata.generation}}{{else}}{{.metadata.resourceVersion}}{{end}}; {{end}}"
            '{{if .items}}{{range .items}}{{template "o" .}}{{end}}{{else}}{{template "o" .}}{{end}}'
        )
        return f"{kubectl(self.server)} get -f - -o go-template={quote(template)}"

    def probe(self) -> Probe:
        """Compare revisions with those written down when it was applied; only if they differ, let the API server
        compare field by field, which takes a second.
        """
        digest, run, record = self.desired["text"], kubectl(self.server), self._record()
        return Probe(
            "script",
            f"{unless_away(self.server)}"
            f'q_now=$({self._revisions()} {heredoc(self.text)}\n) && q_now="{digest} $q_now" || q_now=\n'
            f'if [ -n "$q_now" ] && [ "$q_now" = "$(cat {record} 2>/dev/null)" ]; then q_rc=0; else\n'
            f"{run} diff --server-side --force-conflicts -f - {heredoc(self.text)}\n"
            "q_rc=$?; fi\n"
            f"case $q_rc in 0) echo 'objects=as wanted'; echo text={digest};; 1) echo objects=differ;; esac",
        )

    def parse(self, answer: str) -> State | None:
        """Not knowable while the API is away."""
        fields = dict(line.split("=", 1) for line in answer.splitlines() if line.startswith(("objects=", "text=")))
        return fields or None

    def converge(self, actual: State) -> Sequence[Action]:
        """Apply; tried for a while, since admission and RBAC of a new API server settle within seconds."""
        config, before = kubeconfig("admin"), ""
        if self.credential:
            config = CREDENTIAL
            before = f"leaves {config}; trap 'rm -f {config}' EXIT; cat >{config} {heredoc(self.credential)}\n"
        apply = f"{kubectl(self.server, config)} apply --server-side --force-conflicts -f - {heredoc(self.text)}"
        note = (
            f"q_now=$({self._revisions()} {heredoc(self.text)}\n) && "
            f"printf '%s %s\\n' {self.desired['text']} \"$q_now\" >{self._record()} || :"
        )
        return [
            Action(
                f"{before}for q_try in 1 2 3 4 5; do\nif {apply}\nthen {note}\nexit 0; fi; sleep 1\ndone; exit 1",
                secret=bool(self.secrets),
            )
        ]

    def remove(self) -> Sequence[Action]:
        """Goes with the cluster."""
        return []


@dataclass(frozen=True, kw_only=True)
class KeyPair(Resource):
    """A certificate and its key as a Secret of the cluster, for pods; known by its digest alone."""

    kind: ClassVar[str] = "keypair"
    passive: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    title: str
    """Name of the Secret."""
    namespace: str
    cert: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    server: str
    """The API server to talk to: the host's own."""

    @property
    def name(self) -> str:
        """Namespace and name of the Secret."""
        return f"{self.namespace}/{self.title}"

    def _data(self) -> dict[str, str]:
        """In the order in which the Secret is asked."""
        pair = (("tls.crt", self.cert), ("tls.key", self.key_pem))
        return {name: base64.b64encode(pem).decode("ascii") for name, pem in pair}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key."""
        return (self.key_pem.decode("ascii"),)

    @property
    def desired(self) -> State:
        """Both as they are; the digest is of what `probe` asks for."""
        return {"sha256": hashlib.sha256(" ".join(self._data().values()).encode()).hexdigest()}

    def probe(self) -> Probe:
        """The digest of what is there; nothing while the API is away."""
        path = r"jsonpath={.data.tls\.crt} {.data.tls\.key}"
        asked = sh("get", "secret", "-n", self.namespace, self.title, "--ignore-not-found", "-o", path)
        ask = f'q_pair=$({kubectl(self.server)} {asked}) && printf %s "$q_pair" | sha256sum'
        return Probe("script", f"{unless_away(self.server)}{ask}")

    def parse(self, answer: str) -> State | None:
        """Not knowable while the API is away; one that is not there has the digest of nothing."""
        return {"sha256": answer[:64]} if answer else None

    def converge(self, actual: State) -> Sequence[Action]:
        """Write it."""
        meta = {"name": self.title, "namespace": self.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls"}
        text = heredoc(f"{json.dumps({**secret, 'data': self._data()})}\n")
        apply = f"{kubectl(self.server)} apply --server-side --force-conflicts -f - {text}"
        return [Action(f"for q_try in 1 2 3 4 5; do\nif {apply}\nthen exit 0; fi; sleep 1\ndone; exit 1", secret=True)]

    def remove(self) -> Sequence[Action]:
        """Goes with the cluster."""
        return []


@dataclass(frozen=True, kw_only=True)
class NodeMarks(Resource):
    """Labels and taints of a node object, set as the administrator: a kubelet may give itself few, and only once.

    What others have marked a node with stays; what the file had before and has no more goes.
    """

    kind: ClassVar[str] = "node"
    passive: ClassVar[bool] = False
    apart: ClassVar[bool] = True

    node: str
    labels: Mapping[str, str]
    taints: Mapping[str, str]
    """Value by `KEY:EFFECT`."""
    gone_labels: tuple[str, ...] = ()
    gone_taints: tuple[str, ...] = ()
    """`KEY:EFFECT` each."""
    server: str
    """The API server to talk to: the host's own."""

    @property
    def name(self) -> str:
        """The node's."""
        return self.node

    @property
    def desired(self) -> State:
        """A field for each mark."""
        labels = {f"label {key}": f"={value}" for key, value in self.labels.items()}
        taints = {f"taint {key}": f"={value}" for key, value in self.taints.items()}
        gone = [*(f"label {key}" for key in self.gone_labels), *(f"taint {key}" for key in self.gone_taints)]
        return {**labels, **taints, **dict.fromkeys(gone, _NONE)}

    def probe(self) -> Probe:
        """All marks that the node has; nothing while the API is away."""
        template = (
            '{{range $k, $v := .metadata.labels}}label {{$k}}={{$v}}{{"\\n"}}{{end}}'
            '{{range .spec.taints}}taint {{.key}}:{{.effect}}={{with .value}}{{.}}{{end}}{{"\\n"}}{{end}}'
        )
        asked = sh("get", "node", self.node, "-o", f"go-template={template}")
        return Probe("script", f"{unless_away(self.server)}{kubectl(self.server)} {asked}")

    def parse(self, answer: str) -> State | None:
        """Those that are ours to set or to take away; not knowable while the API is away."""
        found = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
        if not found:
            return None
        return {mark: f"={found[mark]}" if mark in found else _NONE for mark in self.desired}

    def converge(self, actual: State) -> Sequence[Action]:
        """Set what differs; a taint that is not there can't be taken away."""
        labels = [f"{key}={value}" for key, value in self.labels.items()]
        labels += [f"{key}-" for key in self.gone_labels]
        taints = [
            ":".join([f"{key}={value}" if value else key, effect])
            for mark, value in self.taints.items()
            for key, _, effect in [mark.rpartition(":")]
            if actual.get(f"taint {mark}") != f"={value}"
        ]
        taints += [f"{mark}-" for mark in self.gone_taints if actual.get(f"taint {mark}") != _NONE]
        orders = [
            f"{kubectl(self.server)} {sh(what, '--overwrite', 'node', self.node, *marks)} >/dev/null"
            for what, marks in (("label", labels), ("taint", taints))
            if marks
        ]
        return [Action("\n".join(orders))]

    def remove(self) -> Sequence[Action]:
        """Goes with the cluster."""
        return []


_CTR = f"{BIN}/ctr -n k8s.io images"
_LOAD = {"docker": f"gzip -dc | {BIN}/docker load -q", "containerd": f"gzip -dc | {_CTR} import -"}
_PIN = "io.cri-containerd.pinned"
"""The label of containerd's CRI plugin: kubelet's garbage collection passes over images that have it (containerd 1.7
and later, kubelet 1.29 and later; others take no notice)."""


def _listed(names: Sequence[str], only: str = "") -> str:
    """sh that succeeds when containerd lists all of them, also with a filter."""
    found = " && ".join(f'printf "%s\\n" "$q_all" | grep -qxF -- {quote(name)}' for name in names)
    return f"q_all=$({_CTR} ls -q {only}) && {found}"


@dataclass(frozen=True, kw_only=True)
class Image(Resource):
    """The container images of one archive, which a worker then has without asking a registry.

    With containerd they are pinned: where no registry is, what kubelet collects never comes back. dockershim knows no
    pins, and keeps the sandbox image alone, whatever its names.
    """

    kind: ClassVar[str] = "image"
    passive: ClassVar[bool] = False

    references: tuple[str, ...]
    runtime: str
    blob: Blob

    @property
    def name(self) -> str:
        """Their references."""
        return ",".join(self.references)

    @property
    def desired(self) -> State:
        """Loaded from this archive, and pinned where that can be."""
        return {"archive": self.blob.sha256, **({"pinned": "yes"} if self.runtime == "containerd" else {})}

    def _record(self) -> str:
        return f"{STATE}/image-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"

    def probe(self) -> Probe:
        """Ask the runtime whether it has them, and the host's notes from which archive."""
        told = f'echo "archive=$(cat {quote(self._record())})"'
        if self.runtime == "docker":
            # Docker's own client takes ten times as long as curl.
            ask = "curl -gsf --max-time 10 -o /dev/null --unix-socket /var/run/docker.sock"
            has = " && ".join(f"{ask} {quote(f'http://docker/images/{name}/json')}" for name in self.references)
            return Probe("script", f"{has} && {told}")
        pinned = _listed(self.references, quote(f'labels."{_PIN}"==pinned'))
        return Probe(
            "script", f"if {pinned}; then echo pinned=yes; {told}; elif {_listed(self.references)}; then {told}; fi"
        )

    def converge(self, actual: State) -> Sequence[Action]:
        """Stream the archive into the runtime, unless it is there; pin them."""
        pins = ""
        if self.runtime == "containerd":
            pins = "".join(f"{_CTR} label {quote(name)} {_PIN}=pinned >/dev/null\n" for name in self.references)
        if actual.get("archive") == self.blob.sha256:
            return [Action(pins)]
        note = f"printf '%s\\n' {self.blob.sha256} >{quote(self._record())}"
        return [Action(f"{_LOAD[self.runtime]} >/dev/null\n{pins}{note}", blob=self.blob)]

    def remove(self) -> Sequence[Action]:
        """Goes with the runtime's data."""
        return []
