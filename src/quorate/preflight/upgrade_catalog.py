"""The checks that count where versions move: what must be well of a cluster that runs, before any of it is stopped."""

from quorate.preflight import api_objects, api_servers, draining, etcd_members, expiry
from quorate.preflight.check import Check

CHECKS: tuple[Check, ...] = (
    Check(
        "api-servers", "upgrade: API servers are of the versions at which the way begins",
        "Two API servers beside each other may be one minor apart; what is older does not read what a newer one wrote.",
        "see `quorate status`; apply with the versions that ran last, and then this",
        api_servers.versions, (api_servers.SERVED,), upgrade=True,
    ),
    Check(
        "etcd-members", "upgrade: etcd's members are well, and all of one version",
        "While one restarts all others are needed: a learner does not vote, and some releases do not come back.",
        "see `quorate status`; an alarm goes with `quorate defrag` (docs/tasks/etcd-space.md)",
        etcd_members.sound, (etcd_members.MEMBER,), upgrade=True,
    ),
    Check(
        "nodes", "upgrade: nodes are Ready",
        "A node that is not Ready before can't prove itself after.",
        "`kubectl describe node NAME` tells why; a dead host is left out with `--without HOST`",
        draining.nodes, (draining.NODES,), upgrade=True,
    ),
    Check(
        "webhooks", "upgrade: webhooks that fail closed have somebody who answers",
        "Without, writes are refused: pods do not come back after a drain, a new API server does not get ready.",
        "`kubectl get pods -n NAMESPACE` shows why nobody answers; or delete the configuration: "
        "`kubectl delete KIND/NAME`",
        api_objects.webhooks, (api_objects.WEBHOOKS,), upgrade=True,
    ),
    Check(
        "api-services", "upgrade: extensions of the API are Available",
        "With one down namespaces do not end, garbage stays, and clients that ask for all kinds fail.",
        "`kubectl describe apiservice NAME` tells why; `kubectl delete apiservice NAME` if nobody needs it",
        api_objects.api_services, (api_objects.API_SERVICES,), upgrade=True,
    ),
    Check(
        "crds", "upgrade: custom resources are stored in versions that are served",
        "Of objects in a version that nobody serves an API server reads none.",
        "serve the version again, write each object anew (`kubectl get KIND -A -o yaml | kubectl replace -f -`), then "
        "take it out: `kubectl edit crd NAME --subresource=status`",
        api_objects.crds, (api_objects.CRDS,), upgrade=True,
    ),
    Check(
        "removed-apis", "upgrade: nobody needs an API that the goal does not serve",
        "Clients that ask for it fail from then on; requests are counted since an API server runs.",
        "let clients and manifests use what takes its place (kubernetes.io, Deprecated API Migration Guide); the audit "
        "log names who asks (k8s.io/removed-release). Where that is done, waive it: the count lasts until a restart",
        api_servers.removed_apis, (api_servers.SERVED, api_servers.WRITES), upgrade=True,
    ),
    Check(
        "certificates", "upgrade: certificates are valid for another day",
        "What restarts with one that has ended does not come up.",
        "`quorate apply` with the versions that ran last renews what quorate made; kubelet renews its own",
        expiry.outlast, (expiry.FILES, expiry.USERS), upgrade=True,
    ),
    Check(
        "budgets", "upgrade: drains wait for no PodDisruptionBudget",
        "A drain waits until it allows one; after kubelet.drain_seconds the upgrade stops there.",
        "start another replica, or change the budget: `kubectl edit pdb -n NAMESPACE NAME`",
        draining.budgets, (draining.BUDGETS,), upgrade=True,
    ),
    Check(
        "pods", "upgrade: drains take nothing from pods",
        "A drain ends pods, and what lies on a node stays there or goes.",
        "let a controller own them, keep data on volumes that move; or wait until what is lost is not needed",
        draining.pods, (draining.PODS,), upgrade=True,
    ),
)  # fmt: skip
