"""The suite's tests by their names, and which of them a run takes; pure."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core import QuorateError, UsageError

QUICK = (
    "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation",
    "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin] works for CRD with validation schema",
    "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup",
    "[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning",
    "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service",
    "[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps",
    "[sig-apps] CronJob should schedule multiple jobs concurrently",
    "[sig-apps] Deployment deployment should support rollover",
    "[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted",
    "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates",
    "[sig-auth] ServiceAccounts should mount an API token into pods",
    "[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations",
    "[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never",
    "[sig-network] DNS should provide DNS for services",
    "[sig-network] DNS should provide DNS for the cluster",
    "[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service",
    "[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: http",
    "[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http",
    "[sig-network] Services should be able to change the type from ExternalName to NodePort",
    "[sig-network] Services should have session affinity work for NodePort service",
    "[sig-network] Services should serve a basic endpoint from pods",
    "[sig-node] Container Runtime blackbox test on terminated container should report termination message",
    "[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs",
    "[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file",
    "[sig-node] Pods should support remote command execution over websockets",
    '[sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe',
    "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied",
    "[sig-storage] ConfigMap updates should be reflected in volume",
    "[sig-storage] Projected secret should be consumable from pods in volume with mappings",
    "[sig-storage] EmptyDir volumes pod should support shared volumes between containers",
)
"""How the names of the quick run's tests begin, over all areas: of each, the first conformance test in order."""
FEATURES = (
    "[sig-auth] NodeAuthenticator ",
    "[sig-auth] [Feature:NodeAuthorizer] ",
    "[sig-network] Conntrack should be able to preserve UDP traffic when server pod cycles for a NodePort service",
    "[sig-network] DNS HostNetwork should resolve DNS of partial qualified names for services on hostNetwork pods",
    "[sig-network] DNS should resolve DNS of partial qualified names for the cluster",
    "[sig-network] DNS should support configurable pod resolv.conf",
    "[sig-network] Networking Granular Checks: Services should function for client IP based session affinity",
    "[sig-network] Networking Granular Checks: Services should support basic nodePort: udp functionality",
    "[sig-network] Services should be able to update service type to NodePort listening on same port number",
    "[sig-network] Services should check NodePort out-of-range",
    "[sig-network] Services should have session affinity timeout work for ",
    "[sig-network] Services should prevent NodePort collisions",
    "[sig-network] Services should release NodePorts on delete",
    "[sig-network] Services should support externalTrafficPolicy=Local for type=NodePort",
    "[sig-node] [FeatureGate:KubeletFineGrainedAuthz] ",
)
"""How the names of tests begin that every cluster of ours must pass, and that conformance does not ask: who may do what
(RBAC, the nodes' authorizer, the kubelet's own port), DNS, NodePort, session affinity. Of the audit log the suite has
no test: `quorate verify` has one.
"""
_FLAG = {"serial": "[Serial]", "disruptive": "[Disruptive]", "slow": "[Slow]"}


@dataclass(frozen=True, order=True)
class Case:
    """One test, by its whole name, in which its properties are written."""

    name: str

    @property
    def conformance(self) -> bool:
        """Whether every conformant cluster must pass it."""
        return "[Conformance]" in self.name

    def is_(self, flag: str) -> bool:
        """Whether it is `serial` (nothing beside it), `disruptive` (others notice it) or `slow`."""
        return _FLAG[flag] in self.name


@dataclass(frozen=True)
class Choice:
    """What the operator wants run."""

    full: bool = False
    """All conformance tests and those of `FEATURES`; else the quick ones."""
    focus: str = ""
    """Regular expression that names must match, of all tests of the suite; instead of the others."""
    serial: bool = False
    disruptive: bool = False
    skip: str = ""
    """Regular expression of names that are left out."""

    def words(self) -> str:
        """As it is said on the command line."""
        flags = [f"--{name}" for name in ("full", "serial", "disruptive") if getattr(self, name)]
        for name in ("focus", "skip"):
            if said := getattr(self, name):
                flags += [f"--{name}", shlex.quote(said)]
        return " ".join(flags)


@dataclass(frozen=True)
class Chosen:
    """What is run, and what is not though it was meant, with the reason."""

    tests: tuple[Case, ...]
    left: tuple[tuple[str, str], ...]


def listed(text: str) -> tuple[Case, ...]:
    """The tests in what `e2e.test --list-tests` prints: lines of place and name."""
    found = re.findall(r"^ +\S+:\d+: (\S.*)$", text, re.MULTILINE)
    return tuple(sorted({Case(name.rstrip()) for name in found}))


def choose(tests: Sequence[Case], choice: Choice) -> Chosen:
    """Which tests are run. Raises QuorateError for an expression that is none, and when nothing is left."""
    if choice.focus:
        meant = _matching(tests, "--focus", choice.focus)
        missing: list[tuple[str, str]] = []
    elif choice.full:
        meant, missing = [test for test in tests if test.conformance or test.name.startswith(FEATURES)], []
    else:
        meant, missing = _quick(tests)
    skipped = {test.name for test in (_matching(meant, "--skip", choice.skip) if choice.skip else ())}
    left = [
        (test.name, reason)
        for test in meant
        if (reason := "left out by --skip" if test.name in skipped else _reason(test, choice))
    ]
    out = {name for name, _ in left}
    taken = tuple(test for test in meant if test.name not in out)
    if not taken:
        why = left[0][1] if left else "no test of the suite is meant"
        raise QuorateError(f"nothing is to be run: {why}", "name another --focus, or add --serial or --disruptive")
    return Chosen(taken, (*left, *missing))


def _matching(tests: Sequence[Case], option: str, expression: str) -> list[Case]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise UsageError(f"{option} {expression}: {error}", "write a regular expression") from None
    return [test for test in tests if pattern.search(test.name)]


def _quick(tests: Sequence[Case]) -> tuple[list[Case], list[tuple[str, str]]]:
    meant, missing = [], []
    for begin in QUICK:
        found = next((test for test in tests if test.conformance and test.name.startswith(begin)), None)
        if found:
            meant.append(found)
        else:
            missing.append((begin, "this version of the suite has no such conformance test"))
    return meant, missing


def _reason(test: Case, choice: Choice) -> str:
    """Why a test is not run; empty when it is."""
    if test.is_("disruptive") and not choice.disruptive:
        return "disruptive: stops what others use; --disruptive runs it"
    if test.is_("serial") and not (choice.serial or choice.disruptive):
        return "serial: changes what all pods share; --serial runs it, with nothing beside it"
    return ""


def shards(tests: Sequence[Case], most: int) -> tuple[tuple[Case, ...], ...]:
    """Groups of at most so many, in the order in which they are begun; those that bear nothing beside them last."""
    beside = [test for test in tests if not alone(test)]
    groups = [tuple(beside[start : start + most]) for start in range(0, len(beside), most)]
    return (*groups, *((test,) for test in tests if alone(test)))


def alone(test: Case) -> bool:
    """Whether nothing may run beside it."""
    return test.is_("serial") or test.is_("disruptive")


def focus(tests: Sequence[Case]) -> str:
    """The expression by which the suite runs just these: Go's, matched against the suite's name and the test's."""
    return "|".join(f" {quoted(test.name)}$" for test in tests)


def quoted(text: str) -> str:
    """The text as a regular expression of Go's."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
