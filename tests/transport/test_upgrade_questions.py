"""What a cluster is asked before an upgrade: a real API server and kubectl answer as the judges expect."""

import asyncio
from pathlib import Path

import pytest
from cluster_programs import of_line
from state_folders import NOW, cluster

from quorate.render import cluster_questions as asks
from quorate.render import one_runtime, throwaway
from quorate.render.sh import heredoc
from quorate.spec.versions import restorers
from quorate.state.store import Store
from quorate.transport.local import LocalTransport

OBJECTS = """\
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: guard}
webhooks:
HOOKS
---
apiVersion: v1
kind: Service
metadata: {name: away}
spec: {type: ExternalName, externalName: hooks.example.com}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: there-1, labels: {kubernetes.io/service-name: there}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}, {addresses: [10.0.0.2], conditions: {ready: true}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: starting-1, labels: {kubernetes.io/service-name: starting}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.3], conditions: {ready: false}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.x.example}
spec:
  group: x.example
  scope: Cluster
  names: {plural: things, kind: Thing}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
  - {name: v1alpha1, served: false, storage: false, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.down.example}
spec:
  group: down.example
  version: v1
  service: {namespace: default, name: gone}
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: quorum}
spec:
  minAvailable: 1
  selector:
    matchLabels: {app: db}
    matchExpressions:
    - {key: tier, operator: In, values: [a, b]}
    - {key: old, operator: DoesNotExist}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /srv}
  claimRef: {namespace: default, name: data}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, labels: {app: db, tier: b}}
spec:
  nodeName: n1
  containers: [{name: c, image: i}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: data}}, {name: e, emptyDir: {}}, {name: f, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, labels: {app: db, tier: c}}
spec: {nodeName: n1, containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: agent
  ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agents, uid: a-1, controller: true}]
spec: {nodeName: n1, containers: [{name: c, image: i}], volumes: [{name: v, hostPath: {path: /var/log}}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: a-2, controller: true}]
spec: {nodeName: n2, containers: [{name: c, image: i}], volumes: [{name: v, hostPath: {path: /var/log}}]}
"""
HOOK = """\
- name: %s.example.com
  failurePolicy: %s
  clientConfig: {service: {namespace: default, name: %s}}
  rules: [{apiGroups: [x.example], apiVersions: [v1], operations: [CREATE], resources: [things]}]
  sideEffects: None
  admissionReviewVersions: [v1]
"""
HOOKS = [("a", "Fail", "gone"), ("b", "Ignore", "gone"), ("c", "Fail", "there"), ("d", "Fail", "away")]
HOOKS += [("e", "Fail", "starting")]
READY = '{"status":{"conditions":[{"type":"Ready","status":"%s","reason":"%s"}]}}'
RUNS = """\
{"status":{"phase":"Running","containerStatuses":[{"name":"c","ready":true,"image":"i","imageID":"i","restartCount":2,
"state":{"running":{"startedAt":"2026-11-30T12:00:00Z"}}}]}}"""
CURL = f"""\
curl() {{ # as a node asks, by what this API server knows instead of a certificate
  for q_url; do :; done
  command curl -gsfk -H "Authorization: Bearer $q_word" -H '{one_runtime.TABLE}' \
    "https://127.0.0.1:$q_port${{q_url#https://api}}"
}}
"""
STORED = '{"status":{"storedVersions":["v1alpha1","v1"]}}'
ASKED = {
    "nodes": asks.listed("q_ctl", "nodes", asks.NODES),
    "webhooks": asks.webhooks("q_ctl"),
    "API services": asks.listed("q_ctl", "apiservices", asks.API_SERVICES),
    "CRDs": asks.listed("q_ctl", "customresourcedefinitions", asks.CRDS),
    "budgets": asks.budgets("q_ctl"),
    "pods": asks.lost_pods("q_ctl"),
    "served": asks.served("q_ctl", ["podsecuritypolicies.policy"]),
    "written": asks.written(
        "q_ctl",
        [
            ("poddisruptionbudgets", "policy/v1", "policy/v1"),
            ("priorityclasses", "scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1"),
        ],
    ),
    "pods of DaemonSets": f"{CURL}{one_runtime.daemon_pods('https://api', 'n1')}\n"
    "daemon_pods | grep -o '\"cells\":\\[[^,]*,[^,]*,[^,]*'; ready_pods | wc -l; "
    f"q_ctl patch pod agent --subresource=status -p '{RUNS}' >&2; ready_pods | wc -l",
}


async def _answers(work: Path) -> dict[str, list[str]]:
    programs, place = work / "bin", work / "place"
    programs.mkdir()
    place.mkdir()
    for part, version in (("etcd", "3.7"), ("kubernetes", "1.37")):
        for program in of_line(part, version).iterdir():
            (programs / program.name).symlink_to(program)
    Store.beside(work / "cluster.yaml", "c").secrets(cluster(), NOW, persist=True)
    for name in ("sa.key", "sa.pub"):
        (place / name).write_bytes((Store.beside(work / "cluster.yaml", "c").path / "pki" / name).read_bytes())
    flags = ("--service-account-issuer=https://c", "--service-account-key-file=sa.pub")
    flags += ("--service-account-signing-key-file=sa.key", "--disable-admission-plugins=ServiceAccount")
    objects = OBJECTS.replace("HOOKS\n", "".join(HOOK % each for each in HOOKS))
    marked = "".join(f"echo '# {name}'\n( {text}\n) </dev/null\n" for name, text in ASKED.items())
    script = (
        throwaway.functions(str(programs), restorers("3.7"), 2**31)
        + throwaway.api_server(str(programs), flags, "10.96.0.0/16")
        + throwaway.moved(str(place), api=True)
        + f"{programs}/etcd --data-dir=e --name=e --listen-client-urls={throwaway.SERVES} "
        + f"--advertise-client-urls={throwaway.SERVES} --listen-peer-urls=unix://peer:1 "
        + "--initial-advertise-peer-urls=unix://peer:1 --initial-cluster=e=unix://peer:1 >etcd.log 2>&1 &\n"
        + f"q_etcd=$!\nq_api 120\nq_ctl create -f - >&2 {heredoc(objects)}\n"
        + f"q_ctl patch node n1 --subresource=status -p '{READY % ('True', 'KubeletReady')}' >&2\n"
        + f"q_ctl patch node n2 --subresource=status -p '{READY % ('Unknown', 'NodeStatusUnknown')}' >&2\n"
        + f"q_ctl patch crd things.x.example --subresource=status --type=merge -p '{STORED}' >&2\n"
        + "sleep 2\n"
        + marked
    )
    said = await LocalTransport().run("here", script)
    parts = (part.partition("\n") for part in f"\n{said}".split("\n# ")[1:])
    return {name: text.splitlines() for name, _, text in parts}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return asyncio.run(_answers(tmp_path_factory.mktemp("asked")))


def test_lists_are_reduced_to_what_is_judged(answers: dict[str, list[str]]) -> None:
    assert answers["nodes"] == ["n1 True KubeletReady", "n2 Unknown NodeStatusUnknown", "asked"]
    assert answers["webhooks"] == [
        "ValidatingWebhookConfiguration/guard d.example.com default/away ",
        "ValidatingWebhookConfiguration/guard a.example.com default/gone none",
        "ValidatingWebhookConfiguration/guard e.example.com default/starting none",
        "ValidatingWebhookConfiguration/guard c.example.com default/there ready",
        "asked",
    ]
    assert answers["API services"] == ["v1.down.example ServiceNotFound", "asked"]
    assert answers["CRDs"] == ["things.x.example v1alpha1 v1 served v1", "asked"]


def test_what_a_drain_does_is_counted_on_the_host(answers: dict[str, list[str]]) -> None:
    assert answers["budgets"] == ["budget default/quorum", "on n1 db-0", "asked"]
    *lines, last = answers["pods"]
    assert last == "asked"
    assert sorted(lines) == [
        "bare default/db-0",
        "bare default/db-1",
        "count bare 2",
        "count emptyDir 1",
        "count hostPath 1",
        "count local 1",
        "emptyDir default/db-0",
        "hostPath default/web",
        "local default/db-0",
    ]


def test_an_api_server_tells_its_version_and_who_wrote_them(answers: dict[str, list[str]]) -> None:
    said = answers["served"]
    assert said[0] == "asking"
    assert any('"gitVersion": "v1.37.' in line for line in said)
    assert said[-1] == "asked"
    assert answers["written"] == ["poddisruptionbudgets/default/quorum policy/v1 kubectl-create"]


def test_pods_of_daemonsets_are_counted_as_curl_gets_them(answers: dict[str, list[str]]) -> None:
    assert answers["pods of DaemonSets"] == ['"cells":["agent","0/1","Pending"', "0", "1"]
