"""What looks of `verify` may see, and what its judges must say of it: the checks that change nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from verify_door import cluster
from verify_model import NOW, limited

from quorate.execute.survey import Certificate, View
from quorate.pki import profiles
from quorate.pki.issue import CertInfo
from quorate.report.findings import Verdict, failed, passed, skipped
from quorate.spec import layout, pki_files
from quorate.spec.cluster import Cluster, Dns, Metrics
from quorate.verify.access import Binding, KubeletPorts, Rights, Stored
from quorate.verify.api import OwnAddresses
from quorate.verify.dns import Names
from quorate.verify.metrics import ASKED, Behind, Top
from quorate.verify.pods import Lab, Pod, Rollout
from quorate.verify.reach import Answer, FromHosts, FromPods
from quorate.verify.traffic import Traffic
from quorate.verify.vip import Neighbours
from quorate.verify.workload import Node

C = cluster()
URL = "https://10.0.9.100:6443"


@dataclass(frozen=True)
class Case:
    """What a look has seen, and the verdict that is due."""

    id: str
    seen: Any
    verdict: Verdict
    cluster: Cluster = C


# The API, its balancers and the virtual IP.

TRAFFIC = Traffic({URL: 8}, {URL: 8}, "2 hosts", {})
LOG = {"b1": (("10.0.9.3", "10.0.9.1"), ("10.0.9.4", "10.0.9.1")), "b2": (("10.0.9.3", "10.0.9.1"),)}
OWN = OwnAddresses({"m1": {"m1": "ok"}}, (timedelta(days=90, hours=1), timedelta(days=364)))
WIRE = Neighbours(
    ("b1",),
    {"b1": frozenset({"02:aa"}), "b2": frozenset({"02:bb"})},
    {"m1": ("02:aa",), "w1": ("02:aa",), "w2": (), "b2": ("02:aa",)},
)

API = (
    Case("1", TRAFFIC, passed("8 of 8 answers from 2 hosts, certificate checked")),
    Case("1", replace(TRAFFIC, answered={URL: 7}), failed(f"answers missing: {URL}: 7 of 8")),
    Case("1", replace(TRAFFIC, answered={}), failed(f"answers missing: {URL}: 0 of 8")),
    Case("2", LOG, passed("3 lines; b1: 2 to 10.0.9.1; b2: 1 to 10.0.9.1")),
    Case("2", {**LOG, "b2": (("10.0.9.3", "10.0.9.9"),)}, failed("b2: no line names 10.0.9.1 among 1")),
    Case("3", frozenset(LOG["b1"]), passed("API servers by worker: w1 to 1, w2 to 1")),
    Case("3", frozenset(LOG["b2"]), failed("no line from w2 to 10.0.9.1")),
    Case("9", ("200", "401"), passed("from w1: 200 with a service account's token, 401 with a made-up one")),
    Case("9", ("200", "200"), failed("codes for a good and a bad token: 200 200, expected 200 401")),
    Case("9", None, failed("the API server gives no token for a service account")),
    Case("14", frozenset({"10.0.9.1"}), passed("10.0.9.1:6443")),
    Case("14", frozenset({"10.0.9.9"}), failed("['10.0.9.9'], expected ['10.0.9.1']")),
    Case("own-address", OWN, passed("1 API servers ready, asked from 1 masters; certificates good for 90 days")),
    Case(
        "own-address",
        replace(OWN, answers={"m1": {"m1": "[-]etcd failed"}}),
        failed("m1 at its own address, asked from m1: [-]etcd failed"),
    ),
    Case(
        "own-address",
        replace(OWN, answers={"m1": {}}),
        failed("m1 at its own address, asked from m1: no valid answer"),
    ),
    Case("own-address", replace(OWN, left=()), failed("no master has /etc/kubernetes/pki/apiserver.crt")),
    Case("5", ("b1",), passed("10.0.9.100 on b1, not on b2")),
    Case("5", (), failed("10.0.9.100 is on no host, expected exactly one")),
    Case("5", ("b1", "b2"), failed("10.0.9.100 is on b1, b2, expected exactly one")),
    Case("5", ("w1",), failed("10.0.9.100 is on w1, no load balancer")),
    Case("one-answer", WIRE, passed("3 of 4 hosts find 10.0.9.100 by ARP, all at b1")),
    Case(
        "one-answer",
        replace(WIRE, answers={"m1": ("02:aa",), "w1": ("02:bb",)}),
        failed("w1 finds 10.0.9.100 at 02:bb, but b1 has 02:aa"),
    ),
    Case("one-answer", replace(WIRE, holders=()), failed("10.0.9.100 is on no host, expected exactly one")),
)

# Nodes, pods and what they reach.

LAB = Lab((Pod("a", "w1", "10.1.0.2"), Pod("b", "w2", "10.1.1.2")), "10.0.0.9", 30080)
A, B = LAB.pods
PULL = "a: ErrImagePull: no such host"
TALK = "a a\nb b\nservice a\nservice b\nservice a\nservice b\n"
FROM_HOST = f"{TALK}port-10.0.9.3 a\nport-10.0.9.4 b\napi ok\n"
HOSTS = FromHosts(LAB, {"w1": FROM_HOST, "w2": FROM_HOST}, {})
PODS = FromPods(LAB, {A: f"{TALK}api ok\n", B: f"{TALK}api ok\n"})
ANSWERS = (
    Answer("pod", "http://10.1.1.2:8080/", "200"),
    Answer("service", "http://10.0.0.9/", "200"),
    Answer("NodePort", "http://10.0.9.3:30080/", "200"),
)
QUESTIONS = {("api", ""): "10.96.0.1", ("nobody", ""): "NXDOMAIN", ("api", "10.1.0.9"): "10.96.0.1"}
TOLD = {question: f"Address: {answer}" for question, answer in QUESTIONS.items()}
NAMES = Names("10.96.0.10", 1, QUESTIONS, {A: TOLD, B: TOLD})
HAS_IMAGES = C.model_copy(update={"dns": Dns(image="r.example/dns:1"), "metrics": Metrics(image="r.example/metrics:1")})


def with_limits(**containers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pods with limits; containers of the second one ended otherwise."""
    items = [limited("w1"), limited("w2")]
    for each in items[1]["status"]["containerStatuses"]:
        each["state"]["terminated"] |= containers.get(each["name"], {})
    return items


WORKLOAD = (
    Case("4", (Node("w1", True, "v1.30.1"), Node("w2", True, "v1.30.2")), passed("2 of 2 Ready, v1.30.1, v1.30.2")),
    Case("4", (Node("w1", True, ""), Node("w2", False, "")), failed("not Ready: w2")),
    Case("4", (Node("w1", True, ""),), failed("not Ready: w2")),
    Case(
        "4",
        (Node("w1", True, ""), Node("w2", True, ""), Node("w9", False, "")),
        failed("not Ready, and not in the cluster file: w9"),
    ),
    Case("10", Rollout(1, (A,)), passed("a Running on w1 at 10.1.0.2")),
    Case("10", Rollout(1, (), PULL), failed(f"0 of 1 pods run after 90 s: {PULL}")),
    Case("11", ANSWERS, passed("from w1: pod 10.1.1.2:8080 200, service 10.0.0.9 200, NodePort 10.0.9.3:30080 200")),
    Case(
        "11",
        (ANSWERS[0], replace(ANSWERS[1], code="000"), ANSWERS[2]),
        failed("from w1: pod 10.1.1.2:8080 200, service 10.0.0.9 000, NodePort 10.0.9.3:30080 200"),
    ),
    Case("12", {A: "serving as a\n", B: "serving as b\n"}, passed("read from 2 pods on 2 workers")),
    Case("12", {A: "serving as a\n", B: ""}, failed("b on w2: empty")),
    Case("12", {A: "Error: no route to host\n", B: ""}, failed("a on w1: Error: no route to host")),
    Case("13", Rollout(2, (A, B)), passed("2 Running: 1 on w1, 1 on w2")),
    Case("13", Rollout(2, (A, replace(A, name="c"))), failed("no pod on w2")),
    Case("13", Rollout(3, (A, B), PULL), failed(f"2 of 3 pods run after 90 s: {PULL}")),
    Case(
        "reach-from-hosts",
        HOSTS,
        passed("2 workers reach 2 pods, service 10.0.0.9, 2 NodePorts, the API's service"),
    ),
    Case(
        "reach-from-hosts",
        replace(HOSTS, masters={"m1": TALK}),
        passed("2 workers reach 2 pods, service 10.0.0.9, 2 NodePorts, the API's service, 1 masters reach 2 pods"),
    ),
    Case("reach-from-hosts", replace(HOSTS, masters={"m1": "a a\nb -\n"}), failed("from m1: no answer from b")),
    Case(
        "reach-from-hosts",
        replace(HOSTS, workers={"w1": FROM_HOST, "w2": FROM_HOST.replace("a a", "a -")}),
        failed("from w2: no answer from a (10.1.0.2 on w1)"),
    ),
    Case(
        "reach-from-hosts",
        replace(HOSTS, workers={"w1": FROM_HOST.replace("service b", "service -")}),
        failed("from w1: service 10.0.0.9 answers 2 of 4"),
    ),
    Case(
        "reach-from-hosts",
        replace(HOSTS, workers={"w1": FROM_HOST.replace("10.0.9.4 b", "10.0.9.4 -")}),
        failed("from w1: NodePort 30080 silent at 10.0.9.4"),
    ),
    Case(
        "reach-from-hosts",
        replace(HOSTS, workers={"w1": FROM_HOST.replace("api ok", "api -")}),
        failed("from w1: the API does not answer as 10.96.0.1"),
    ),
    Case(
        "reach-from-pods",
        PODS,
        passed("exec into 2 pods on 2 workers: each reaches 2 pods, the service, the API"),
    ),
    Case(
        "reach-from-pods",
        replace(PODS, answers={A: "error: unable to upgrade connection\n"}),
        failed("kubectl exec a: error: unable to upgrade connection"),
    ),
    Case(
        "reach-from-pods",
        replace(PODS, answers={A: f"{TALK}api ok\n", B: TALK.replace("a a", "a -")}),
        failed("from b on w2: no answer from a (10.1.0.2 on w1)"),
    ),
    Case(
        "reach-from-pods",
        replace(PODS, answers={A: f"{TALK}api -\n"}),
        failed("from a on w1: 10.96.0.1:443 does not answer"),
    ),
    Case(
        "limits",
        with_limits(),
        passed("2 workers: 32 MiB of memory hold, 0.1 cores hold (used 0.10 at most), 2 cores are accepted"),
    ),
    Case(
        "limits",
        with_limits(burns={"message": "398 401\n"}),
        failed("w2: a container used 0.99 cores under a limit of 0.1"),
    ),
    Case(
        "limits",
        with_limits(eats={"exitCode": 0, "reason": "Completed"}),
        failed("w2: 96 MiB of memory were used under a limit of 32: exit code 0, Completed"),
    ),
    Case(
        "limits",
        [limited("w1")],
        failed("pods with limits have not ended after 90 s: pods do not run yet"),
    ),
    Case(
        "dns",
        NAMES,
        passed("3 names asked at 10.96.0.10, and the API's at each of 1 DNS servers, from 2 pods on as many workers"),
    ),
    Case(
        "dns",
        replace(NAMES, answers={A: TOLD, B: {**TOLD, ("api", "10.1.0.9"): "timed out"}}),
        failed("from b on w2: api at 10.1.0.9: expected 10.96.0.1, got timed out"),
    ),
    Case("dns", replace(NAMES, answers={A: {}}), failed("from a on w1: api: expected 10.96.0.1, got ")),
    Case("dns", Names("10.0.0.7"), failed("service kube-dns is at 10.0.0.7, pods ask 10.96.0.10")),
    Case("dns", None, failed("no service kube-dns, though dns.image is r.example/dns:1"), HAS_IMAGES),
    Case(
        "dns",
        None,
        skipped("no CoreDNS in the cluster: its image could not be had from the artifact source; see dns.image"),
    ),
)

# metrics-server and aggregation.

TOP = "w1 52m 2% 512Mi 6%\nw2 52m 2% 512Mi 6%\n"
DOOR = "10.1.0.9:10250"
BEHIND = {
    "through": '{"items":[{"usage":{}},{"usage":{}}]}',
    **{f"{asked.who}@{DOOR}": f"{asked.answer} Status{asked.codes[0]}" for asked in ASKED},
}
NO_METRICS = "no metrics-server in the cluster: the artifact source does not bring its image; see metrics.image"
NO_API = "no /apis/metrics.k8s.io/v1beta1/nodes, though metrics.image is r.example/metrics:1"

METRICS = (
    Case("metrics", Top.of(TOP), passed("w1 52m 512Mi, w2 52m 512Mi")),
    Case(
        "metrics",
        Top.of("w1 52m 2% 512Mi 6%\nw2 <unknown> <unknown> <unknown> <unknown>\n"),
        failed(
            "kubectl top nodes, after 90 s: w1 52m 2% 512Mi 6%\nw2 <unknown> <unknown> <unknown> <unknown>",
        ),
    ),
    Case("metrics", Top(), failed("kubectl top nodes, after 90 s: empty")),
    Case("metrics", None, skipped(NO_METRICS)),
    Case("metrics", None, failed(NO_API), HAS_IMAGES),
    Case(
        "aggregation",
        Behind((DOOR,), {"m1": BEHIND}),
        passed(
            "1 API servers pass on to 1 metrics-servers, which know who asks; "
            "the same words without the front proxy's certificate are refused"
        ),
    ),
    Case("aggregation", Behind(()), failed("no endpoint of metrics-server is ready")),
    Case(
        "aggregation",
        Behind((DOOR,), {"m1": {**BEHIND, "through": "Error from server"}}),
        failed("/apis/metrics.k8s.io/v1beta1/nodes through the API server of m1: Error from server"),
    ),
    Case(
        "aggregation",
        Behind((DOOR,), {"m1": {**BEHIND, f"admin-without-certificate@{DOOR}": "NodeMetricsList 200"}}),
        failed(f"metrics-server at {DOOR}, asked from m1 as admin-without-certificate: NodeMetricsList 200"),
    ),
    Case("aggregation", None, skipped(NO_METRICS)),
    Case("aggregation", None, failed(NO_API), HAS_IMAGES),
)

# Rights, keys and certificates.

INFO = Binding("x", "system:public-info-viewer", frozenset({"system:unauthenticated"}))
RIGHTS = Rights((INFO, Binding("y", "view", frozenset({"ann"}))), {"m1": ("403", "401")})
RECORD = '{"verb": "get", "user": {"username": "quorate-admin"}, "responseStatus": {"code": 404}}\n'
STORED = Stored("/registry/secrets/x/sealed", "k8s:enc:secretbox:v1:key1:......", "0")


def certificate(path: str, *, days: int = 300, ca: bool = False, serial: int = 5) -> Certificate:
    info = CertInfo("c", (), frozenset(), "ca", serial, NOW, NOW + timedelta(days=days), ca, frozenset(), "ecdsa-p256")
    return Certificate(path, "", info)


CA = certificate(pki_files.CA, ca=True)


def view(name: str) -> View:
    """A host where all lies as it should."""
    host = C.host(name)
    files = {each.path: (each.mode, "root:root") for each in profiles.files(C, host)}
    servers: dict[str, str] = {}
    if host in C.masters:
        own = f"https://{host.ip}:6443"
        servers = {"admin": C.node_url, "kube-controller-manager": own, "kube-scheduler": own}
        files[layout.kubeconfig("admin")] = ("0600", "root:root")
    if host in C.workers:
        servers = dict.fromkeys(("kubelet", "kube-proxy"), C.node_url)
    return View(
        NOW,
        files=files,
        certificates=(CA,) if servers else (),
        servers={layout.kubeconfig(component): url for component, url in servers.items()},
        etcd_servers=("https://127.0.0.1:2382",) if host in C.masters else (),
    )


VIEWS = {host.name: view(host.name) for host in C.hosts}
M1, W1 = VIEWS["m1"], VIEWS["w1"]
KEYS = sum(path.endswith(".key") for each in VIEWS.values() for path in each.files)
SECRET = KEYS + 1
SA = "/etc/kubernetes/pki/sa.key"


def asking(name: str, component: str, url: str) -> dict[str, View]:
    """All views, with a component of a host that asks elsewhere."""
    servers = {**VIEWS[name].servers, layout.kubeconfig(component): url}
    return {**VIEWS, name: replace(VIEWS[name], servers=servers)}


def with_file(name: str, path: str, mode: str) -> dict[str, View]:
    """All views, with a file on a host."""
    return {**VIEWS, name: replace(VIEWS[name], files={**VIEWS[name].files, path: (mode, "root:root")})}


def with_certificates(*certificates: Certificate) -> dict[str, View]:
    """All views, with these certificates alone on w1."""
    return {**VIEWS, "w1": replace(W1, certificates=certificates)}


ACCESS = (
    Case("nameless", RIGHTS, passed("2 bindings looked at; nodes and secrets refused 2 times (401, 403)")),
    Case(
        "nameless",
        replace(RIGHTS, bindings=(replace(INFO, role="cluster-admin"),)),
        failed("x gives cluster-admin to system:unauthenticated"),
    ),
    Case(
        "nameless",
        replace(RIGHTS, bindings=(Binding("z", "cluster-admin", frozenset({"system:authenticated"})),)),
        failed("z gives cluster-admin to system:authenticated"),
    ),
    Case("nameless", replace(RIGHTS, codes={"m1": ("403", "200")}), failed("m1 answers the nameless 403 200")),
    Case("nameless", replace(RIGHTS, codes={"m1": ("403",)}), failed("m1 answers the nameless 403")),
    Case(
        "kubelet-closed",
        dict.fromkeys(("w1", "w2"), KubeletPorts("401", ("exit=7", "exit=28"))),
        passed("2 of 2 answer 401, port 10255 closed"),
    ),
    Case(
        "kubelet-closed",
        {"w1": KubeletPorts("200", ("exit=7", "exit=7"))},
        failed("kubelet of w1 answers 200 to the nameless, expected 401"),
    ),
    Case("kubelet-closed", {"w1": KubeletPorts("401", ("exit=7", "exit=0"))}, failed("port 10255 of w1 is open")),
    Case("sealed", STORED, passed("read from m1: the value begins k8s:enc:secretbox:v1:key1")),
    Case(
        "sealed",
        replace(STORED, head="k8s:v1:Secret"),
        failed("/registry/secrets/x/sealed begins 'k8s:v1:Secret', expected k8s:enc:secretbox"),
    ),
    Case("sealed", replace(STORED, count="1"), failed("/registry/secrets/x/sealed holds the plain text")),
    Case("audited", {"m1": RECORD}, passed("1 API servers wrote down who looked at a Secret")),
    Case("audited", {"m1": "unasked\n"}, failed("m1: its API server does not answer")),
    Case("audited", {"m1": "\n"}, failed(f"m1: {layout.AUDIT_LOG} has no line of a request 5 s after it")),
    Case(
        "audited",
        {"m1": RECORD.replace("404", "200")},
        failed(f"m1: {layout.AUDIT_LOG} says {RECORD.replace('404', '200').strip()}"),
    ),
)

FILES = (
    Case("keys-placed", VIEWS, passed(f"{KEYS} keys, each where it is used; the CA's key only on m1")),
    Case(
        "keys-placed",
        with_file("w1", "/etc/kubernetes/pki/ca.key", "0600"),
        failed("w1 has /etc/kubernetes/pki/ca.key, for which it has no use"),
    ),
    Case("keys-placed", with_file("w1", "/root/.kube/config", "0600"), failed("w1 has /root/.kube/config")),
    Case("keys-closed", VIEWS, passed(f"{SECRET} files of mode 0600")),
    Case("keys-closed", with_file("m1", SA, "0644"), failed(f"m1: others can read {SA} (0644)")),
    Case(
        "certificates",
        with_certificates(certificate("/a.crt", days=200)),
        passed("3 certificates; the first ends in 200 days (/a.crt on w1)"),
    ),
    Case("certificates", with_certificates(certificate("/a.crt", days=3)), failed("w1: /a.crt ends in 3 days")),
    Case(
        "certificates",
        with_certificates(replace(CA, info=replace(CA.info, not_after=NOW))),
        failed(f"w1: {pki_files.CA} ends in 0 days"),
    ),
    Case("certificates", {"b1": VIEWS["b1"]}, failed("no certificate was found on any host")),
    Case("one-ca", VIEWS, passed("one CA on 3 hosts")),
    Case(
        "one-ca", with_certificates(certificate(pki_files.CA, ca=True, serial=6)), failed("2 different CAs: m1, w2; w1")
    ),
    Case("one-ca", {"b1": VIEWS["b1"]}, failed("0 different CAs: ")),
    Case("independent", VIEWS, passed(f"1 masters each at their own API server, 2 workers at {URL}")),
    Case(
        "independent",
        asking("m1", "kube-scheduler", "https://10.0.9.2:6443"),
        failed("kube-scheduler of m1 asks https://10.0.9.2:6443, not its own API server"),
    ),
    Case(
        "independent",
        asking("m1", "kube-controller-manager", ""),
        failed("kube-controller-manager of m1 asks nobody, not its own API server"),
    ),
    Case(
        "independent",
        {**VIEWS, "m1": replace(M1, etcd_servers=())},
        failed("kube-apiserver of m1 does not run, or has no --etcd-servers"),
    ),
    Case(
        "independent",
        {**VIEWS, "m1": replace(M1, etcd_servers=("https://10.0.9.7:2379",))},
        failed("kube-apiserver of m1 uses 10.0.9.7, not its way to etcd"),
    ),
    Case(
        "independent",
        asking("m1", "admin", "https://10.0.9.1:6443"),
        failed(f"kubectl on the masters asks https://10.0.9.1:6443, not {URL}"),
    ),
    Case(
        "independent",
        asking("w1", "kube-proxy", "https://10.0.9.1:6443"),
        failed(f"kube-proxy of w1 asks https://10.0.9.1:6443, not {URL}"),
    ),
)

CASES = (*API, *WORKLOAD, *METRICS, *ACCESS, *FILES)
