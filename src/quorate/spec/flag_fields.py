"""Flags that are written as fields of the program's configuration file, which says the same.

kube-proxy reads none beside that file but those of logs, kube-scheduler leaves those that it calls deprecated, old ones
also those of its election (`Complete` and `ApplyTo` in cmd/*/app/options of Kubernetes). kubelet's `eviction-hard`
would take the place of all thresholds in the file.
"""

from collections.abc import Mapping

from quorate.spec.flag_text import items, pairs, truth
from quorate.spec.known import fields

KINDS: Mapping[str, str] = {
    "scheduler": "KubeSchedulerConfiguration",
    "kubelet": "KubeletConfiguration",
    "proxy": "KubeProxyConfiguration",
}
"""By the section of the cluster file that has the `extra_flags`."""
_CLIENT = {
    "kube-api-burst": "clientConnection.burst",
    "kube-api-content-type": "clientConnection.contentType",
    "kube-api-qps": "clientConnection.qps",
}
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "scheduler": {
        **_CLIENT,
        "leader-elect-lease-duration": "leaderElection.leaseDuration",
        "leader-elect-renew-deadline": "leaderElection.renewDeadline",
        "leader-elect-retry-period": "leaderElection.retryPeriod",
    },
    "kubelet": {"eviction-hard": "evictionHard"},
    "proxy": {
        **_CLIENT,
        "bind-address-hard-fail": "bindAddressHardFail",
        "config-sync-period": "configSyncPeriod",
        "conntrack-max-per-core": "conntrack.maxPerCore",
        "conntrack-min": "conntrack.min",
        "conntrack-tcp-be-liberal": "conntrack.tcpBeLiberal",
        "conntrack-tcp-timeout-close-wait": "conntrack.tcpCloseWaitTimeout",
        "conntrack-tcp-timeout-established": "conntrack.tcpEstablishedTimeout",
        "conntrack-udp-timeout": "conntrack.udpTimeout",
        "conntrack-udp-timeout-stream": "conntrack.udpStreamTimeout",
        "detect-local-mode": "detectLocalMode",
        "feature-gates": "featureGates",
        "iptables-localhost-nodeports": "iptables.localhostNodePorts",
        "iptables-masquerade-bit": "iptables.masqueradeBit",
        "iptables-min-sync-period": "iptables.minSyncPeriod",
        "iptables-sync-period": "iptables.syncPeriod",
        "ipvs-exclude-cidrs": "ipvs.excludeCIDRs",
        "ipvs-min-sync-period": "ipvs.minSyncPeriod",
        "ipvs-scheduler": "ipvs.scheduler",
        "ipvs-strict-arp": "ipvs.strictARP",
        "ipvs-sync-period": "ipvs.syncPeriod",
        "ipvs-tcp-timeout": "ipvs.tcpTimeout",
        "ipvs-tcpfin-timeout": "ipvs.tcpFinTimeout",
        "ipvs-udp-timeout": "ipvs.udpTimeout",
        "masquerade-all": "iptables.masqueradeAll",
        "nodeport-addresses": "nodePortAddresses",
        "oom-score-adj": "oomScoreAdj",
        "pod-bridge-interface": "detectLocal.bridgeInterface",
        "pod-interface-name-prefix": "detectLocal.interfaceNamePrefix",
        "profiling": "enableProfiling",
        "proxy-port-range": "portRange",
        "show-hidden-metrics-for-version": "showHiddenMetricsForVersion",
        "udp-timeout": "udpIdleTimeout",
    },
}


def path(part: str, flag: str, version: str, mode: str = "") -> tuple[list[str], str] | None:
    """Names of the field of a flag from the top of the file, and its type; None where the flag stays what it is.

    `mode` is kube-proxy's: in nftables mode it has a section of its own for what the flags call iptables.
    """
    dotted = _FIELDS.get(part, {}).get(flag)
    if dotted is None:
        return None
    types = fields(KINDS[part]).at(version) or {}
    own = dotted.replace("iptables.", "nftables.") if mode == "nftables" else dotted
    for names in (own.split("."), dotted.split(".")):
        kind: str | None = KINDS[part]
        for name in names:
            kind = types.get(f"{kind}.{name}")
        if kind:
            return names, kind
    return None


def given(part: str, flags: Mapping[str, str], version: str, mode: str = "") -> dict[str, object]:
    """The flags that are fields, as a configuration of these alone."""
    config: dict[str, object] = {}
    for flag, text in flags.items():
        if found := path(part, flag, version, mode):
            *around, last = found[0]
            place = config
            for name in around:
                inner = place.setdefault(name, {})
                assert isinstance(inner, dict)
                place = inner
            place[last] = value(text, found[1])
    return config


def rest(part: str, flags: Mapping[str, str], version: str) -> dict[str, str]:
    """The flags that stay flags."""
    return {flag: text for flag, text in flags.items() if path(part, flag, version) is None}


def value(text: str, kind: str) -> object:
    """What a flag says, as a value of the field; the text itself where it is none of that type."""
    if kind == "bool":
        wish = truth(text)
        return text if wish is None else wish
    if kind == "map[string]bool":
        return {name: value(wish, "bool") for _, name, wish in pairs(text)}
    if kind == "map[string]string":
        given = [item.partition("<") for item in items(text)]
        return {name.strip(): amount.strip() for name, _, amount in given} if all(part[2] for part in given) else text
    if kind == "[]string":
        return items(text)
    try:
        return int(text) if kind.startswith("int") else float(text) if kind.startswith("float") else text
    except ValueError:
        return text
