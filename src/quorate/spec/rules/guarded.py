"""Flags and fields that are yours to set as long as they take no protection away.

Data: component -> flag (without dashes) -> what its value must be; the same for fields of KubeletConfiguration and for
feature gates. What a component refuses whatever the value is in `owned`. Read for this: every flag, field and gate of
`spec/known`; a test wants each new one to be judged.
"""

from collections.abc import Mapping

from quorate.spec.flag_text import items
from quorate.spec.rules.guard import (
    Guard,
    at_least,
    at_most,
    keeps,
    lasting,
    no_stranger,
    off,
    on,
    one_of,
    quiet,
    serves,
    suites,
    within,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MOST_VERBOSE = 7
"""At 8 client-go prints requests and answers whole, Secrets among them (client-go/transport/round_trippers.go)."""
_TTL = 300
"""Seconds for which an answer of the API server may be believed: the longest of the programs' own defaults."""

_PROFILING = off("nobody is told what a program has in its memory")
_SUITES = Guard(suites, "suites have forward secrecy, and HTTP/2 works")
_VERSIONS = one_of(("VersionTLS12", "VersionTLS13"), "nothing older than TLS 1.2 is spoken")
_CACHES = dict.fromkeys(
    (
        "authentication-token-webhook-cache-ttl",
        "authorization-webhook-cache-authorized-ttl",
        "authorization-webhook-cache-unauthorized-ttl",
    ),
    at_most(_TTL, "rights that are taken away are gone within minutes"),
)
_AUDIT = "the audit log has every write"
_COLLECTED = on("what belongs to something deleted is deleted, too")
_QUIET = Guard(quiet(_MOST_VERBOSE), "logs hold no Secrets", f"write at most {_MOST_VERBOSE}")

_LOGS = {"v": _QUIET, "vmodule": _QUIET}
_SERVER = {"tls-min-version": _VERSIONS, "tls-cipher-suites": _SUITES, "contention-profiling": _PROFILING, **_LOGS}
_CONTROL = {
    **_SERVER,
    "profiling": _PROFILING,
    "authorization-always-allow-paths": within(
        ("/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*", "/version"),
        "strangers get health alone",
    ),
    **_CACHES,
}

HARMLESS = (
    "DefaultIngressClass",
    "DefaultStorageClass",
    "DefaultTolerationSeconds",
    "PersistentVolumeClaimResize",
    "PodTopologyLabels",
)
"""Admission plugins that only fill in what was left out, or look at sizes."""

_APISERVER = {
    **_SERVER,
    "profiling": _PROFILING,
    "disable-admission-plugins": within(HARMLESS, "what plugins refuse stays refused"),
    "enable-admission-plugins": Guard(
        lambda value: not {"AlwaysAdmit", "AlwaysDeny"} & set(items(value)),
        "requests are judged one by one",
    ),
    "runtime-config": Guard(
        serves(
            (
                *("api/all", "api/ga", "api/legacy", "v1", "admissionregistration.k8s.io/v1"),
                *("apiregistration.k8s.io/v1", "authentication.k8s.io/v1", "authorization.k8s.io/v1"),
                *("certificates.k8s.io/v1", "coordination.k8s.io/v1", "networking.k8s.io/v1", "policy/v1"),
                *("rbac.authorization.k8s.io/v1", "apps/v1", "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"),
            )
        ),
        "the APIs of rights and policies, and those that the cluster itself uses, are served",
    ),
    "service-account-lookup": on("tokens of accounts that are deleted end with them"),
    "service-account-extend-token-expiration": off("tokens of pods end within the hour"),
    "enable-bootstrap-token-auth": off("there are no bootstrap tokens"),
    "enable-logs-handler": off("files of the masters' /var/log are not served"),
    "aggregator-reject-forwarding-redirect": on("APIs behind the API server can't send it elsewhere"),
    "cors-allowed-origins": Guard(
        no_stranger,
        "pages of strangers can't use a browser's login",
        "remove it, or name hosts from begin to end, such as ^https://board[.]example[.]org$",
    ),
    "audit-log-mode": one_of(("blocking", "blocking-strict"), _AUDIT),
    # What is larger after truncating is dropped.
    "audit-log-truncate-max-event-size": at_least(102400, _AUDIT),
    "enable-garbage-collector": _COLLECTED,
    "etcd-compaction-interval": lasting("etcd's store does not grow until it is full"),
    **_CACHES,
}
_CONTROLLER_MANAGER = {
    **_CONTROL,
    "enable-hostpath-provisioner": off("no claim becomes a folder of a host"),
    "enable-garbage-collector": _COLLECTED,
    "enable-taint-manager": on("pods leave a node that is gone"),
    "controllers": Guard(
        keeps(
            (
                *("certificatesigningrequest-approving-controller", "csrapproving"),
                *("certificatesigningrequest-cleaner-controller", "csrcleaner"),
                *("certificatesigningrequest-signing-controller", "csrsigning"),
                *("legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner"),
                *("namespace-controller", "namespace", "node-lifecycle-controller", "nodelifecycle"),
                *("persistentvolumeclaim-protection-controller", "pvc-protection"),
                *("persistentvolume-protection-controller", "pv-protection"),
                *("resourcequota-controller", "resourcequota"),
                *("root-ca-certificate-publisher-controller", "root-ca-cert-publisher"),
                *("serviceaccount-controller", "serviceaccount", "serviceaccount-token-controller"),
                *("serviceaccount-token", "taint-eviction-controller"),
                *("garbage-collector-controller", "garbagecollector"),
                *("clusterrole-aggregation-controller", "clusterrole-aggregation"),
                *("validatingadmissionpolicy-status-controller",),
                *("pod-garbage-collector-controller", "podgc", "disruption-controller", "disruption"),
                # CoreDNS and metrics-server, and the way to all services.
                *("deployment-controller", "deployment", "replicaset-controller", "replicaset"),
                *("endpointslice-controller", "endpointslice"),
            )
        ),
        "certificates, tokens, quotas, services and what is deleted are seen to",
        "keep `*`, and take off none that these need; or remove it",
    ),
}
_MANIFESTS = Guard(
    lambda value: value.startswith("https://"),
    "who is on the way can't run pods",
    "remove it, or write one that begins with https://",
)
_KUBELET = {
    **_SERVER,
    "rotate-certificates": on("client certificates are renewed"),
    "rotate-server-certificates": off("serving certificates are issued by quorate"),
    "make-iptables-util-chains": on("the host's packets are kept from what is not theirs"),
    "streaming-connection-idle-timeout": lasting("idle sessions in containers end"),
    "keep-terminated-pod-volumes": off("volumes with Secrets go with their pods"),
    "redirect-container-streaming": off("sessions in containers go through the API server"),
    "enable-cadvisor-json-endpoints": off("the kubelet shows no more than it must"),
    "manifest-url": _MANIFESTS,
    **_CACHES,
}
_NAMES = off("members are known by the addresses in their certificates")
_ETCD = {
    "cipher-suites": _SUITES,
    "tls-min-version": one_of(("TLS1.2", "TLS1.3"), "nothing older than TLS 1.2 is spoken"),
    "tls-max-version": one_of(("TLS1.2", "TLS1.3"), "nothing older than TLS 1.2 is spoken"),
    "unsafe-no-fsync": off("what was written survives a power cut"),
    "pre-vote": on("a member that comes back topples no leader"),
    "strict-reconfig-check": on("no change of members costs the quorum"),
    "enable-pprof": _PROFILING,
    "enable-v2": off("there is one API, and it is the one that is guarded"),
    "peer-skip-client-san-verification": _NAMES,
    "experimental-peer-skip-client-san-verification": _NAMES,
}

GUARDED: Mapping[str, Mapping[str, Guard]] = {
    "etcd": _ETCD,
    "apiserver": _APISERVER,
    "controller_manager": _CONTROLLER_MANAGER,
    "scheduler": _CONTROL,
    "kubelet": _KUBELET,
    "proxy": {"profiling": _PROFILING, **_LOGS},
}
"""By the name of the section in the cluster file."""

GUARDED_FIELDS: Mapping[str, Guard] = {
    "tlsMinVersion": _VERSIONS,
    "tlsCipherSuites": _SUITES,
    "rotateCertificates": _KUBELET["rotate-certificates"],
    "serverTLSBootstrap": _KUBELET["rotate-server-certificates"],
    "makeIPTablesUtilChains": _KUBELET["make-iptables-util-chains"],
    "streamingConnectionIdleTimeout": _KUBELET["streaming-connection-idle-timeout"],
    "enableContentionProfiling": _PROFILING,
    "staticPodURL": _MANIFESTS,
    "imagePullCredentialsVerificationPolicy": one_of(
        ("NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"),
        "a pod uses no image that it may not pull",
    ),
    "logging.verbosity": _QUIET,
    "logging.vmodule": _QUIET,
}
"""Of KubeletConfiguration, in `kubelet.config`."""

PROTECTING = ("apiserver", "controller_manager", "kubelet")
"""Sections whose feature gates matter here."""

GATES_ON = _names(
    """
    AdvancedAuditing AllBeta AnonymousAuthConfigurableEndpoints AppArmor AppArmorFields AuthorizeNodeWithSelectors
    AuthorizePodWebsocketUpgradeCreatePermission AuthorizeWithSelectors BoundServiceAccountTokenVolume
    CSIServiceAccountTokenSecrets ConstrainedImpersonation DRAResourceClaimGranularStatusAuthorization
    DisableKubeletCloudCredentialProviders KubeletEnsureSecretPulledImages KubeletFineGrainedAuthz
    LegacyServiceAccountTokenCleanUp LocalStorageCapacityIsolation MutatingAdmissionPolicy PodSecurity
    PreventStaticPodAPIReferences ProbeHostPodSecurityStandards ReloadKubeletClientCAFile
    ReloadKubeletServerCertificateFile RootCAConfigMap RotateKubeletClientCertificate SeccompDefault
    ServiceAccountNodeAudienceRestriction ServiceAccountTokenJTI ServiceAccountTokenNodeBinding
    ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo StrictCostEnforcementForVAP
    StrictCostEnforcementForWebhooks StrictIPCIDRValidation StructuredAuthenticationConfiguration
    SupplementalGroupsPolicy SupportNodePidsLimit SupportPodPidsLimit TokenRequest TokenRequestProjection
    TokenRequestServiceAccountUIDValidation UnauthenticatedHTTP2DOSMitigation UserNamespacesSupport
    ValidateProxyRedirects ValidatingAdmissionPolicy
    """
)
"""Feature gates that protect as long as they are on."""

GATES_OFF = _names(
    """
    AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests DynamicKubeletConfig GitRepoVolumeDriver KMSv1
    StreamingProxyRedirects UserNamespacesPodSecurityStandards
    """
)
"""Feature gates that open what is closed."""
