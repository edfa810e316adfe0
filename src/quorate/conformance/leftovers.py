"""The API as a run needs it beside the suite, and what the suite leaves there when it is killed.

Its namespaces, and webhooks that would go on judging requests.
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from quorate.core import QuorateError

LABEL = "e2e-run"
"""Every namespace of the suite has it."""
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
            done = subprocess.run([*self._words, *words], capture_output=True, text=True, timeout=2 * ASK, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise QuorateError(f"kubectl {' '.join(words)}: {error}") from None
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise QuorateError(f"kubectl {' '.join(words[:3])}: {said}", "the API must be reached from this machine")
        return done.stdout

    def version(self) -> str:
        """The API server's version, `1.37.2`."""
        return str(json.loads(self.ask("get", "--raw", "/version"))["gitVersion"]).removeprefix("v")

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

    def namespaces(self) -> frozenset[str]:
        """Namespaces of the suite, whoever ran it."""
        return frozenset(self.ask("get", "namespaces", f"--selector={LABEL}", "--output=name").split())

    def hooks(self) -> tuple[str, ...]:
        """Webhooks that call a service in a namespace of the suite's, or in none that is there."""
        there = set(self.ask("get", "namespaces", "--output=name").split())
        tests = self.namespaces()
        found = json.loads(self.ask("get", ",".join(HOOKS), "--output=json"))["items"]
        return tuple(
            f"{each['kind'].lower()}/{each['metadata']['name']}"
            for each in found
            if any(_of_suite(each, hook, tests, there) for hook in each.get("webhooks") or ())
        )


def _of_suite(item: dict[str, object], hook: dict[str, object], tests: frozenset[str], there: set[str]) -> bool:
    config = hook.get("clientConfig")
    service = config.get("service") if isinstance(config, dict) else None
    if not isinstance(service, dict):
        return False
    name = f"namespace/{service.get('namespace')}"
    metadata = item.get("metadata")
    labels = metadata.get("labels") or {} if isinstance(metadata, dict) else {}
    ours = any(str(label).startswith("e2e-") for label in labels)
    return name in tests or (name not in there and ours)


def take_away(api: Api, foreign: frozenset[str], say: Callable[[str], None]) -> Sequence[str]:
    """Delete what the suite left, but for others' namespaces; what is still there after `GONE` seconds.

    Raises QuorateError when the API can't be asked.
    """
    ours = api.namespaces() - foreign
    if hooks := api.hooks():
        # They first: one whose service is gone may refuse every request.
        api.ask("delete", *hooks, "--ignore-not-found")
    if not ours:
        return ()
    say(f"taking {len(ours)} namespaces of the suite away")
    api.ask("delete", *sorted(ours), "--ignore-not-found", "--wait=false")
    end = time.monotonic() + GONE
    while (left := api.namespaces() - foreign) and time.monotonic() < end:
        time.sleep(2)
    return sorted(left)
