"""The API as a run needs it beside the suite, and what the suite leaves there when it is killed.

Its namespaces, and webhooks that would go on judging requests.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorate.core import QuorateError
from quorate.plan.words import many
from quorate.spec.outward import without

LABEL = "e2e-run"
"""Every namespace of the suite has it; its value is the id of the process that made it."""
HOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
GONE = 180.0
"""Seconds that namespaces have to go."""
ASK = 30


class Api:
    """The cluster's API by kubectl on this machine."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._words = [str(kubectl), f"--kubeconfig={kubeconfig}", f"--request-timeout={ASK}s"]

    def ask(self, *words: str) -> str:
        """What kubectl prints. Raises QuorateError with what it says."""
        try:
            done = subprocess.run(
                [*self._words, *words],
                capture_output=True,
                text=True,
                timeout=2 * ASK,
                check=False,
                env=without(os.environ),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise QuorateError(f"kubectl {' '.join(words)}: {error}") from None
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise QuorateError(f"kubectl {' '.join(words[:3])}: {said}", "the API must be reached from this machine")
        return done.stdout

    def version(self) -> str:
        """The API server's version, `1.37.2`."""
        return str(json.loads(self.ask("get", "--raw", "/version"))["gitVersion"]).removeprefix("v")

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes, as the API tells them."""
        found: list[dict[str, Any]] = json.loads(self.ask("get", "nodes", "--output=json"))["items"]
        return found

    def silent_groups(self) -> list[str]:
        """API groups by version that do not answer, with what was said. Raises QuorateError when nobody is reached."""
        groups = json.loads(self.ask("get", "--raw", "/apis"))["groups"]
        silent = []
        for version in (each["groupVersion"] for group in groups for each in group["versions"]):
            try:
                self.ask("get", "--raw", f"/apis/{version}")
            except QuorateError as error:
                silent.append(f"{version}: {error.message}")
        return silent

    def namespaces(self) -> dict[str, str]:
        """Namespaces of the suite by name, whoever ran it, with the id of the run."""
        items = json.loads(self.ask("get", "namespaces", f"--selector={LABEL}", "--output=json"))["items"]
        return {each["metadata"]["name"]: each["metadata"]["labels"][LABEL] for each in items}

    def of_runs(self, ids: Collection[str]) -> set[str]:
        """Namespaces of these runs."""
        return {name for name, run in self.namespaces().items() if run in ids}

    def hooks(self, ours: Collection[str]) -> list[str]:
        """Webhooks that call a service in one of these namespaces, or one of a run whose namespace is gone."""
        there = {name.removeprefix("namespace/") for name in self.ask("get", "namespaces", "--output=name").split()}
        found = json.loads(self.ask("get", ",".join(HOOKS), "--output=json"))["items"]
        return [
            f"{each['kind'].lower()}/{each['metadata']['name']}" for each in found if _left_by_suite(each, ours, there)
        ]


def _left_by_suite(item: Mapping[str, Any], ours: Collection[str], there: Collection[str]) -> bool:
    marked = any(label.startswith("e2e-") for label in item["metadata"].get("labels") or {})
    services = [hook["clientConfig"].get("service") for hook in item.get("webhooks") or ()]
    calls = {service["namespace"] for service in services if service}
    return any(name in ours or (marked and name not in there) for name in calls)


def take_away(api: Api, runs: Collection[str], say: Callable[[str], None]) -> Sequence[str]:
    """Delete what these runs of the suite left; the namespaces that are still there after `GONE` seconds.

    Raises QuorateError when the API can't be asked.
    """
    ours = api.of_runs(runs)
    if hooks := api.hooks(ours):
        # They first: one whose service is gone may refuse every request.
        api.ask("delete", *hooks, "--ignore-not-found")
    if not ours:
        return ()
    say(f"taking {many(len(ours), 'namespace')} of the suite away")
    api.ask("delete", "namespace", *sorted(ours), "--ignore-not-found", "--wait=false")
    end = time.monotonic() + GONE
    while (left := api.of_runs(runs)) and time.monotonic() < end:
        time.sleep(2)
    return sorted(left)
