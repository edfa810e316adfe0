"""Flags and fields of which no value takes a protection away, by the section that has them; read one by one."""

FREE = {
    "etcd": """
        auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention backend-batch-interval
        backend-batch-limit backend-bbolt-freelist-type bcrypt-cost bootstrap-defrag-threshold-megabytes
        compact-hash-check-time compaction-batch-limit compaction-sleep-interval corrupt-check-time cors
        distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate
        distributed-tracing-service-name downgrade-check-time enable-distributed-tracing enable-grpc-gateway
        enable-log-rotation experimental-bootstrap-defrag-threshold-megabytes
        experimental-compact-hash-check-enabled experimental-compact-hash-check-time
        experimental-compaction-batch-limit experimental-compaction-sleep-interval
        experimental-corrupt-check-time experimental-distributed-tracing-address
        experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate
        experimental-distributed-tracing-service-name experimental-downgrade-check-time
        experimental-enable-distributed-tracing experimental-enable-lease-checkpoint
        experimental-enable-lease-checkpoint-persist experimental-initial-corrupt-check
        experimental-memory-mlock experimental-snapshot-catchup-entries experimental-stop-grpc-service-on-defrag
        experimental-txn-mode-write-with-shared-buffer experimental-warning-apply-duration
        experimental-warning-unary-request-duration experimental-watch-progress-notify-interval
        grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout host-whitelist
        initial-election-tick-advance log-format log-level log-outputs log-rotation-config-json logger
        max-concurrent-streams max-learners max-request-bytes max-snapshots max-txn-ops max-wals memory-mlock
        metrics proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval
        proxy-write-timeout raft-read-timeout raft-write-timeout self-signed-cert-validity
        snapshot-catchup-entries snapshot-count socket-reuse-address socket-reuse-port v2-deprecation
        warning-apply-duration warning-unary-request-duration watch-progress-notify-interval
    """,
    "apiserver": """
        add-dir-header admission-control-config-file allow-metric-labels allow-metric-labels-manifest
        alsologtostderr api-audiences apiserver-count audit-log-batch-buffer-size audit-log-batch-max-size
        audit-log-batch-max-wait audit-log-batch-throttle-burst audit-log-batch-throttle-enable
        audit-log-batch-throttle-qps audit-log-compress audit-log-format audit-log-maxage audit-log-maxbackup
        audit-log-maxsize audit-log-truncate-enabled audit-log-truncate-max-batch-size
        audit-log-version audit-webhook-batch-buffer-size
        audit-webhook-batch-initial-backoff audit-webhook-batch-max-size audit-webhook-batch-max-wait
        audit-webhook-batch-throttle-burst audit-webhook-batch-throttle-enable audit-webhook-batch-throttle-qps
        audit-webhook-config-file audit-webhook-initial-backoff audit-webhook-mode
        audit-webhook-truncate-enabled audit-webhook-truncate-max-batch-size
        audit-webhook-truncate-max-event-size audit-webhook-version authentication-token-webhook-config-file
        authentication-token-webhook-version authorization-webhook-version azure-container-registry-config
        cloud-config cloud-provider cloud-provider-gce-l7lb-src-cidrs cloud-provider-gce-lb-src-cidrs
        coordinated-leadership-lease-duration coordinated-leadership-renew-deadline
        coordinated-leadership-retry-period default-not-ready-toleration-seconds
        default-unreachable-toleration-seconds default-watch-cache-size delete-collection-workers
        disable-http2-serving disabled-metrics egress-selector-config-file emulated-version
        emulation-forward-compatible enable-priority-and-fairness
        encryption-provider-config-automatic-reload etcd-count-metric-poll-period
        etcd-db-metric-poll-interval etcd-healthcheck-timeout etcd-readycheck-timeout event-ttl
        experimental-logging-sanitization goaway-chance http2-max-streams-per-connection
        identity-lease-duration-seconds identity-lease-renew-interval-seconds kubelet-preferred-address-types
        kubelet-timeout kubernetes-service-node-port lease-reuse-duration-seconds livez-grace-period
        log-backtrace-at log-dir log-file log-file-max-size log-flush-frequency log-json-info-buffer-size
        log-json-split-stream log-text-info-buffer-size log-text-split-stream logging-format logtostderr
        master-service-namespace max-connection-bytes-per-sec max-mutating-requests-inflight
        max-requests-inflight min-compatibility-version min-request-timeout oidc-ca-file oidc-client-id
        oidc-groups-claim oidc-groups-prefix oidc-issuer-url oidc-required-claim oidc-signing-algs
        oidc-username-claim oidc-username-prefix one-output peer-advertise-ip peer-advertise-port peer-ca-file
        permit-address-sharing permit-port-sharing request-timeout runtime-config-emulation-forward-compatible
        service-account-jwks-uri service-account-max-token-expiration show-hidden-metrics-for-version
        shutdown-delay-duration shutdown-send-retry-after shutdown-watch-termination-grace-period skip-headers
        skip-log-headers stderrthreshold storage-initialization-timeout storage-media-type
        strict-transport-security-directives tls-curve-preferences tls-sni-cert-key tracing-config-file
        watch-cache watch-cache-sizes
    """,
    "controller_manager": """
        add-dir-header allow-metric-labels allow-metric-labels-manifest allow-untagged-cloud alsologtostderr
        attach-detach-reconcile-sync-period azure-container-registry-config cidr-allocator-type cloud-config
        cloud-provider cloud-provider-gce-lb-src-cidrs cluster-name concurrent concurrent-cron-job-syncs
        concurrent-daemonset-syncs concurrent-deployment-syncs concurrent-device-taint-eviction-syncs
        concurrent-disruption-syncs concurrent-endpoint-syncs concurrent-ephemeralvolume-syncs
        concurrent-gc-syncs concurrent-horizontal-pod-autoscaler-syncs concurrent-job-syncs
        concurrent-namespace-syncs concurrent-rc-syncs concurrent-replicaset-syncs
        concurrent-resource-quota-syncs concurrent-resourceclaim-syncs concurrent-service-endpoint-syncs
        concurrent-service-syncs concurrent-serviceaccount-token-syncs concurrent-statefulset-syncs
        concurrent-ttl-after-finished-syncs concurrent-validating-admission-policy-status-syncs
        configure-cloud-routes controller-shutdown-timeout controller-start-interval
        deployment-controller-sync-period disable-attach-detach-reconcile-sync disable-force-detach-on-timeout
        disable-http2-serving disabled-metrics emulated-version enable-dynamic-provisioning
        enable-leader-migration endpoint-updates-batch-period
        endpointslice-updates-batch-period experimental-logging-sanitization external-cloud-volume-plugin
        flex-volume-plugin-dir horizontal-pod-autoscaler-cpu-initialization-period
        horizontal-pod-autoscaler-downscale-delay horizontal-pod-autoscaler-downscale-stabilization
        horizontal-pod-autoscaler-initial-readiness-delay horizontal-pod-autoscaler-sync-period
        horizontal-pod-autoscaler-tolerance horizontal-pod-autoscaler-upscale-delay
        http2-max-streams-per-connection kube-api-burst kube-api-content-type kube-api-qps
        large-cluster-size-threshold leader-elect-lease-duration leader-elect-renew-deadline
        leader-elect-retry-period leader-migration-config legacy-service-account-token-clean-up-period
        log-backtrace-at log-dir log-file log-file-max-size log-flush-frequency log-json-info-buffer-size
        log-json-split-stream log-text-info-buffer-size log-text-split-stream logging-format logtostderr
        max-endpoints-per-slice min-compatibility-version min-resync-period
        mirroring-concurrent-service-endpoint-syncs mirroring-endpointslice-updates-batch-period
        mirroring-max-endpoints-per-subset namespace-sync-period node-cidr-mask-size-ipv6 node-eviction-rate
        node-monitor-grace-period node-monitor-period node-startup-grace-period node-sync-period one-output
        permit-address-sharing permit-port-sharing pod-eviction-timeout pv-recycler-increment-timeout-nfs
        pv-recycler-minimum-timeout-hostpath pv-recycler-minimum-timeout-nfs
        pv-recycler-pod-template-filepath-hostpath pv-recycler-pod-template-filepath-nfs
        pv-recycler-timeout-increment-hostpath pvclaimbinder-sync-period resource-quota-sync-period
        route-reconciliation-period secondary-node-eviction-rate show-hidden-metrics-for-version skip-headers
        skip-log-headers stderrthreshold terminated-pod-gc-threshold tls-curve-preferences tls-sni-cert-key
        unhealthy-zone-threshold volume-host-allow-local-loopback volume-host-cidr-denylist
    """,
    "scheduler": """
        add-dir-header algorithm-provider allow-metric-labels allow-metric-labels-manifest alsologtostderr
        azure-container-registry-config disable-http2-serving disabled-metrics emulated-version
        experimental-logging-sanitization http2-max-streams-per-connection
        kube-api-burst kube-api-content-type kube-api-qps leader-elect-lease-duration
        leader-elect-renew-deadline leader-elect-retry-period log-backtrace-at log-dir log-file
        log-file-max-size log-flush-frequency log-json-info-buffer-size log-json-split-stream
        log-text-info-buffer-size log-text-split-stream logging-format logtostderr min-compatibility-version
        one-output permit-address-sharing permit-port-sharing pod-max-in-unschedulable-pods-duration
        policy-config-file policy-configmap policy-configmap-namespace
        show-hidden-metrics-for-version skip-headers skip-log-headers stderrthreshold tls-curve-preferences
        tls-sni-cert-key use-legacy-policy-config
    """,
    "kubelet": """
        add-dir-header allowed-unsafe-sysctls alsologtostderr application-metrics-count-limit
        azure-container-registry-config boot-id-file cgroup-root cgroups-per-qos cloud-config cloud-provider
        cni-cache-dir container-hints container-log-max-files container-log-max-size containerd
        containerd-namespace cpu-cfs-quota cpu-cfs-quota-period cpu-manager-policy cpu-manager-policy-options
        cpu-manager-reconcile-period docker-endpoint enable-controller-attach-detach enable-debugging-handlers
        enable-load-reader enforce-node-allocatable event-burst event-qps event-storage-age-limit
        event-storage-event-limit eviction-hard eviction-max-pod-grace-period eviction-minimum-reclaim
        eviction-pressure-transition-period eviction-soft eviction-soft-grace-period
        experimental-allocatable-ignore-eviction experimental-check-node-capabilities-before-mount
        experimental-kernel-memcg-notification experimental-log-sanitization experimental-mounter-path
        fail-cgroupv1 fail-swap-on file-check-frequency global-housekeeping-interval hairpin-mode
        housekeeping-interval http-check-frequency image-credential-provider-bin-dir
        image-credential-provider-config image-gc-high-threshold image-gc-low-threshold
        image-pull-progress-deadline iptables-drop-bit iptables-masquerade-bit kernel-memcg-notification
        kube-api-burst kube-api-content-type kube-api-qps kube-reserved kube-reserved-cgroup kubelet-cgroups
        local-storage-capacity-isolation log-backtrace-at log-cadvisor-usage log-dir log-file log-file-max-size
        log-flush-frequency log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size
        log-text-split-stream logging-format logtostderr machine-id-file manifest-url-header
        master-service-namespace max-open-files maximum-dead-containers maximum-dead-containers-per-container
        memory-manager-policy minimum-container-ttl-duration minimum-image-ttl-duration network-plugin-mtu
        node-status-max-images node-status-update-frequency non-masquerade-cidr one-output oom-score-adj
        pod-manifest-path pod-max-pids pods-per-core protect-kernel-defaults provider-id qos-reserved
        register-schedulable registry-burst registry-qps reserved-cpus reserved-memory resolv-conf
        runtime-cgroups runtime-request-timeout seccomp-default seccomp-profile-root serialize-image-pulls
        skip-headers skip-log-headers stderrthreshold storage-driver-buffer-duration storage-driver-db
        storage-driver-host storage-driver-password storage-driver-secure storage-driver-table
        storage-driver-user sync-frequency system-cgroups system-reserved system-reserved-cgroup
        topology-manager-policy topology-manager-policy-options topology-manager-scope volume-plugin-dir
        volume-stats-agg-period
    """,
    "proxy": """
        add-dir-header alsologtostderr azure-container-registry-config bind-address-hard-fail boot boot-id-file
        cloud-provider-gce-l7lb-src-cidrs cloud-provider-gce-lb-src-cidrs config-sync-period
        conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal conntrack-tcp-timeout-close-wait
        conntrack-tcp-timeout-established conntrack-udp-timeout conntrack-udp-timeout-stream
        default-not-ready-toleration-seconds default-unreachable-toleration-seconds detect-local-mode
        iptables-localhost-nodeports iptables-masquerade-bit iptables-min-sync-period iptables-sync-period
        ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ipvs-strict-arp ipvs-sync-period ipvs-tcp-timeout
        ipvs-tcpfin-timeout ipvs-udp-timeout kube-api-burst kube-api-content-type kube-api-qps log-backtrace-at
        log-dir log-file log-file-max-size log-flush-frequency log-json-info-buffer-size log-json-split-stream
        log-text-info-buffer-size log-text-split-stream logging-format logtostderr machine machine-id-file
        masquerade-all nodeport-addresses one-output oom-score-adj pod-bridge-interface
        pod-interface-name-prefix proxy-port-range show-hidden-metrics-for-version skip-headers skip-log-headers
        stderrthreshold udp-timeout
    """,
}
FREE_FIELDS = """
    allowedUnsafeSysctls cgroupRoot cgroupsPerQOS configMapAndSecretChangeDetectionStrategy containerLogMaxFiles
    containerLogMaxSize containerLogMaxWorkers containerLogMonitorInterval contentType cpuCFSQuota
    cpuCFSQuotaPeriod cpuManagerPolicy cpuManagerPolicyOptions cpuManagerReconcilePeriod crashLoopBackOff
    defaultPodSysctls enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers
    enableProfilingHandler enableSystemLogHandler enableSystemLogQuery enforceNodeAllocatable eventBurst
    eventRecordQPS evictionHard evictionMaxPodGracePeriod evictionMinimumReclaim
    evictionPressureTransitionPeriod evictionSoft evictionSoftGracePeriod failCgroupV1 failSwapOn
    fileCheckFrequency hairpinMode httpCheckFrequency imageGCHighThresholdPercent imageGCLowThresholdPercent
    imageMaximumGCAge imageMinimumGCAge iptablesDropBit iptablesMasqueradeBit kernelMemcgNotification
    kubeAPIBurst kubeAPIQPS kubeReserved kubeReservedCgroup kubeletCgroups localStorageCapacityIsolation
    maxOpenFiles maxParallelImagePulls memoryManagerPolicy memoryReservationPolicy memorySwap
    memoryThrottlingFactor mergeDefaultEvictionSettings nodeLeaseDurationSeconds nodeStatusMaxImages
    nodeStatusReportFrequency nodeStatusUpdateFrequency oomScoreAdj podLogsDir podPidsLimit podsPerCore
    preloadedImagesVerificationAllowlist protectKernelDefaults providerID qosReserved
    registryBurst registryPullQPS reservedMemory reservedSystemCPUs resolvConf runtimeRequestTimeout
    seccompDefault serializeImagePulls showHiddenMetricsForVersion shutdownGracePeriod
    shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods singleProcessOOMKill staticPodPath
    staticPodURLHeader syncFrequency systemCgroups systemReserved systemReservedCgroup tlsCurvePreferences
    topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope tracing userNamespaces
    volumePluginDir volumeStatsAggPeriod
"""
