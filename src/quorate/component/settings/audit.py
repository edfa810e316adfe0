"""The audit policy: who changed what, and who read a secret; never what is in it."""


def policy() -> dict[str, object]:
    """An audit.k8s.io/v1 Policy, the first rule that fits counts.

    Metadata (who, what, when, from where, outcome) of every write, of every look at secrets, and of every
    way into a container; nothing of bodies. Heartbeats, events and other reads, most of the traffic, are
    left out.
    """
    metadata, none = "Metadata", "None"
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        # One line a request: that of its end.
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": none, "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]},
            {"level": none, "resources": [_group("", "events"), _group("events.k8s.io", "events")]},
            {"level": none, "resources": [_group("coordination.k8s.io", "leases")]},
            {
                "level": none,
                "userGroups": ["system:nodes"],
                "verbs": ["update", "patch"],
                "resources": [_group("", "nodes/status", "pods/status")],
            },
            {
                "level": metadata,
                "resources": [
                    _group("", "secrets", "serviceaccounts/token"),
                    _group("authentication.k8s.io", "tokenreviews"),
                ],
            },
            # Over a websocket these are reads by name.
            {
                "level": metadata,
                "resources": [
                    _group("", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy"),
                    _group("", "services/proxy", "nodes/proxy"),
                ],
            },
            {"level": none, "verbs": ["get", "list", "watch"]},
            {"level": metadata},
        ],
    }


def _group(group: str, *resources: str) -> dict[str, object]:
    return {"group": group, "resources": list(resources)}
