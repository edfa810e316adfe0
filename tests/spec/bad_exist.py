"""Bad cluster files: flags, feature gates and fields that the chosen version does not know."""

from bad_file import HOSTS, Bad


def at(version: str, section: str, etcd: str = "") -> str:
    """A file of a version whose line 6 is `section`."""
    return HOSTS + f"versions: {{kubernetes: {version}{f', etcd: {etcd}' if etcd else ''}}}\n{section}\n"


def flag(version: str, section: str, name: str, words: str, *, value: str = "x", etcd: str = "") -> Bad:
    text = at(version, f"{section}: {{extra_flags: {{{name}: '{value}'}}}}", etcd)
    return Bad(text, 6, f"{section}.extra_flags.{name}", words)


def config(version: str, field: str, value: str, words: str) -> Bad:
    return Bad(at(version, f"kubelet: {{config: {{{field}: {value}}}}}"), 6, f"kubelet.config.{field}", words)


EXIST = (
    flag("1.37.2", "apiserver", "logtostderr", "any more (gone in 1.26)"),
    flag("1.37.2", "controller_manager", "pod-eviction-timeout", "default-not-ready-toleration-seconds"),
    flag("1.37.2", "apiserver", "max-request-inflight", "did you mean `max-requests-inflight`?"),
    flag("1.37.2", "apiserver", "cloud-provider", "has no --cloud-provider any more"),
    flag("1.37.2", "controller_manager", "concurrent-service-syncs", "any more (gone in 1.37)"),
    flag("1.37.2", "scheduler", "no-such-thing-at-all", "has no --no-such-thing-at-all"),
    flag("1.37.2", "kubelet", "boot-id-fil", "has no --boot-id-fil"),
    flag("1.37.2", "kubelet", "register-schedulable", "has no --register-schedulable any more"),
    flag("1.37.2", "proxy", "udp-timeout", "has no --udp-timeout any more"),
    flag("1.23.1", "kubelet", "v1", "has no --v1"),
    flag("1.37.2", "etcd", "experimental-initial-corrupt-check", "any more (gone in 3.7)"),
    flag("1.37.2", "etcd", "snapshot-cnt", "did you mean `snapshot-count`?"),
    flag("1.33.2", "etcd", "feature-gates", "choose etcd 3.6 or later", value="AllAlpha=true"),
    flag("1.34.2", "etcd", "enable-v2", "etcd 3.6.15 has no --enable-v2 any more (gone in 3.6)", etcd="3.6.15"),
    flag("1.20.2", "etcd", "snapshot-cnt", "did you mean `snapshot-count`?"),
    flag("1.37.2", "etcd", "feature-gates", "did you mean `LeaseCheckpoint`?", value="LeaseChekpoint=true"),
    flag("1.37.2", "apiserver", "feature-gates", "feature gate SidecarContainers", value="SidecarContainers=true"),
    flag("1.37.2", "scheduler", "feature-gates", "not NAME=true or NAME=false", value="AllAlpha"),
    flag("1.37.2", "scheduler", "feature-gates", "not NAME=true or NAME=false", value="AllAlpha=yes,AllBeta=false"),
    flag("1.37.2", "controller_manager", "feature-gates", "did you mean `AllBeta`?", value="AllAlpha=true,AlBeta=true"),
    flag(
        "1.37.2",
        "apiserver",
        "feature-gates",
        "(gone in 1.32). Fix: remove it",
        value="ValidatingAdmissionPolicy = true",
    ),
    flag("1.37.2", "apiserver", "feature-gates", "write AllAlpha=0", value="kube:AllAlpha=0"),
    flag("1.37.2", "kubelet", "experimental-kernel-memcg-notification", "did you mean `kernel-memcg-notification`?"),
    flag("1.37.2", "proxy", "conntrack-min", "must be a whole number", value="many"),
    flag("1.37.2", "proxy", "ipvs-strict-arp", "must be true or false", value="yes"),
    flag("1.37.2", "proxy", "iptables-sync-period", "must be a duration", value="30"),
    flag("1.37.2", "kubelet", "eviction-hard", "items such as memory.available<100Mi", value="memory.available=1Gi"),
    flag("1.37.2", "scheduler", "kube-api-qps", "must be a number", value="fast"),
    flag("1.20.2", "scheduler", "scheduler-name", "not read beside", value="mine"),
    config("1.37.2", "maxParalelImagePulls", "5", "did you mean `maxParallelImagePulls`?"),
    config("1.30.2", "failCgroupV1", "false", "no field failCgroupV1 yet (it comes in 1.31)"),
    config("1.37.2", "serializeImagePulls", "'no'", "must be true or false"),
    config("1.37.2", "imageMinimumGCAge", "120", "must be a duration such as 10s"),
    config("1.37.2", "evictionHard", "[]", "must be fields with values"),
    config("1.37.2", "podsPerCore", "'10'", "must be a whole number"),
    Bad(
        at("1.37.2", "kubelet: {config: {memorySwap:\n  {swapBehavour: LimitedSwap}}}"),
        7,
        "kubelet.config.memorySwap.swapBehavour",
        "did you mean `swapBehavior`?",
    ),
    Bad(
        at("1.37.2", "kubelet:\n  config:\n    featureGates:\n      NoSuchGate: true"),
        9,
        "kubelet.config.featureGates.NoSuchGate",
        "has no feature gate NoSuchGate",
    ),
    Bad(
        at("1.37.2", "kubelet: {config: {featureGates: {AllAlpha: 'true'}}}"),
        6,
        "kubelet.config.featureGates.AllAlpha",
        "must be true or false",
    ),
    Bad(
        at("1.37.2", "kubelet: {config: {featureGates: {NodeSwap: false}}}"),
        6,
        "kubelet.config.featureGates.NodeSwap",
        "locked to true",
    ),
)
