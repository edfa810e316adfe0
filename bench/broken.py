"""Clusters broken on purpose: that the quick run of `quorate conformance` finds each fault.

`bench/broken.py` deploys examples/modern.yaml with the registry of bench/conformance.py, breaks one thing after the
other, runs the quick run, and heals; at last the quick run must pass. Which tests failed each time is kept in
bench/results/broken.json. With words, only the faults in whose name one of them is.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from conformance import EXAMPLE, SKIP, deployed, portable
from stand import RESULTS, Stand, tell

from quorate.component.settings.kubelet import CONFIG
from quorate.core import QuorateError
from quorate.lab.up import down
from quorate.spec.load import load

KEPT = RESULTS / "broken.json"
METRICS = "kubectl -n kube-system get endpoints metrics-server -o jsonpath='{.subsets[*].addresses[*].ip}'"
CUT = "OUTPUT -p tcp -d $ip -m comment --comment broken-on-purpose -j REJECT"


@dataclass(frozen=True)
class Injection:
    """Something that is made wrong on one host. `quorate apply` puts it right, after what of it is no matter of its."""

    what: str
    host: str
    wrong: str
    right: str = ":"


BREAKS = (
    Injection("kube-proxy stopped on one node", "node01", "systemctl stop kube-proxy"),
    Injection(
        "DNS wrong: CoreDNS serves another domain",
        "master01",
        "kubectl -n kube-system get configmap coredns -o yaml | sed 's/cluster\\.local/cluster.wrong/' "
        "| kubectl replace -f -; kubectl -n kube-system rollout restart deployment coredns; "
        "kubectl -n kube-system rollout status deployment coredns --timeout=90s",
    ),
    Injection(
        "a kubelet without exec",
        "node02",
        f"echo 'enableDebuggingHandlers: false' >> {CONFIG}; systemctl restart kubelet",
    ),
    Injection(
        "an aggregated API that one master does not reach",
        "master02",
        f'ips=$({METRICS}); test -n "$ips"; for ip in $ips; do iptables -w -I {CUT}; done',
        "iptables-save | grep broken-on-purpose | sed 's/^-A/-D/' | while read -r rule; do iptables -w $rule; done",
    ),
)


def on(made: Stand, host: str, script: str) -> None:
    """Run a script on a host of the lab. Raises QuorateError when one of its commands fails."""
    lab = ["lab", "ssh", host, "--name", load(made.file).name, "--", f"set -e; {script}"]
    done = subprocess.run([sys.executable, "-m", "quorate", *lab], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise QuorateError(f"{host}: exit {done.returncode}: {script}")


def quick(made: Stand) -> dict[str, Any]:
    """What the quick run says. Raises QuorateError when it does not come to its end."""
    document: dict[str, Any] = json.loads(
        made.quorate("conformance", "--jobs", "4", "--json", "--skip", SKIP, codes=(0, 8))
    )
    return document


def tried(made: Stand, fault: Injection) -> dict[str, object]:
    """What the quick run finds while something is broken."""
    tell(f"broken: {fault.what} ({fault.host})")
    on(made, fault.host, fault.wrong)
    found = quick(made)
    on(made, fault.host, fault.right)
    made.quorate("apply", "--yes")
    failed = {each["name"]: portable(each["reason"])[:300] for each in found["failed"]}
    for name, reason in failed.items():
        tell(f"failed: {name}: {reason}")
    return {"date": date.today().isoformat(), "host": fault.host, "passed": found["passed"], "failed": failed}


def main(words: Sequence[str]) -> None:
    """Break, run, heal. Raises SystemExit when a fault is not found, or the cluster does not pass without one."""
    version = load(EXAMPLE, offline=True).versions.kubernetes
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    chosen = [fault for fault in BREAKS if not words or any(word in fault.what for word in words)]
    with deployed(version) as (made, _):
        for fault in chosen:
            kept[f"{version}: {fault.what}"] = run = tried(made, fault)
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")
            if not run["failed"]:
                raise SystemExit(f"not found: {fault.what}")
        sound = quick(made)
        if not sound["ok"]:
            raise SystemExit(f"not sound without a fault: {sound['failed']}")
    down(load(made.file).name, tell)


if __name__ == "__main__":
    main(sys.argv[1:])
