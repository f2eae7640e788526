"""The alerts that the usual monitoring of a Kubernetes cluster raises, as far as routing looks at them."""

from __future__ import annotations

# Names by severity, as such rule sets use them: a mix of the node's, the cluster's and the monitoring's own.
BY_SEVERITY = {
    "critical": [
        "KubeAPIDown", "KubeAPIErrorBudgetBurn", "KubeClientCertificateExpiration", "KubeControllerManagerDown",
        "KubeProxyDown", "KubeSchedulerDown", "KubeletDown", "KubePersistentVolumeErrors",
        "KubePersistentVolumeFillingUp", "KubePersistentVolumeInodesFillingUp", "KubeStateMetricsListErrors",
        "KubeStateMetricsShardsMissing", "KubeStateMetricsWatchErrors", "NodeFileDescriptorLimit",
        "NodeFilesystemAlmostOutOfFiles", "NodeFilesystemAlmostOutOfSpace", "NodeFilesystemFilesFillingUp",
        "NodeFilesystemSpaceFillingUp", "NodeRAIDDegraded", "AlertmanagerClusterCrashlooping",
        "AlertmanagerClusterDown", "AlertmanagerClusterFailedToSendAlerts", "AlertmanagerConfigInconsistent",
        "AlertmanagerFailedReload", "AlertmanagerMembersInconsistent", "PrometheusBadConfig",
        "PrometheusErrorSendingAlertsToAnyAlertmanager", "PrometheusRemoteStorageFailures",
        "PrometheusRemoteWriteBehind", "PrometheusRuleFailures", "PrometheusTargetSyncFailure",
        "etcdInsufficientMembers", "etcdNoLeader", "etcdMembersDown", "etcdGRPCRequestsSlow",
        "etcdHighFsyncDurations", "etcdDatabaseQuotaLowSpace",
    ],
    "warning": [
        "KubePodCrashLooping", "KubePodNotReady", "KubeDeploymentGenerationMismatch", "KubeDeploymentReplicasMismatch",
        "KubeDeploymentRolloutStuck", "KubeStatefulSetReplicasMismatch", "KubeStatefulSetGenerationMismatch",
        "KubeStatefulSetUpdateNotRolledOut", "KubeDaemonSetRolloutStuck", "KubeContainerWaiting",
        "KubeDaemonSetNotScheduled", "KubeDaemonSetMisScheduled", "KubeJobNotCompleted", "KubeJobFailed",
        "KubeHpaReplicasMismatch", "KubeHpaMaxedOut", "KubePdbNotEnoughHealthyPods", "KubeCPUOvercommit",
        "KubeMemoryOvercommit", "KubeCPUQuotaOvercommit", "KubeMemoryQuotaOvercommit", "KubeQuotaExceeded",
        "KubeVersionMismatch", "KubeClientErrors", "KubeAggregatedAPIErrors", "KubeAggregatedAPIDown",
        "KubeAPITerminatedRequests", "KubeNodeNotReady", "KubeNodeUnreachable", "KubeNodeReadinessFlapping",
        "KubeNodePressure", "KubeletTooManyPods", "KubeletPlegDurationHigh", "KubeletPodStartUpLatencyHigh",
        "KubeletClientCertificateRenewalErrors", "KubeletServerCertificateRenewalErrors", "NodeClockNotSynchronising",
        "NodeClockSkewDetected", "NodeHighNumberConntrackEntriesUsed", "NodeMemoryHighUtilization",
        "NodeMemoryMajorPagesFaults", "NodeNetworkInterfaceFlapping", "NodeNetworkReceiveErrs",
        "NodeNetworkTransmitErrs", "NodeRAIDDiskFailure", "NodeSystemSaturation", "NodeSystemdServiceFailed",
        "NodeSystemdServiceCrashlooping", "NodeTextFileCollectorScrapeError", "NodeBondingDegraded",
        "NodeDiskIOSaturation", "PrometheusDuplicateTimestamps", "PrometheusErrorSendingAlertsToSomeAlertmanagers",
        "PrometheusHighQueryLoad", "PrometheusLabelLimitHit", "PrometheusMissingRuleEvaluations",
        "PrometheusNotConnectedToAlertmanagers", "PrometheusNotIngestingSamples", "PrometheusOperatorListErrors",
        "PrometheusOperatorNodeLookupErrors", "PrometheusOperatorNotReady", "PrometheusOperatorReconcileErrors",
        "PrometheusOperatorRejectedResources", "PrometheusOperatorStatusUpdateErrors", "PrometheusOperatorSyncFailed",
        "PrometheusOperatorWatchErrors", "PrometheusOutOfOrderTimestamps", "PrometheusRemoteWriteDesiredShards",
        "PrometheusScrapeBodySizeLimitHit", "PrometheusScrapeSampleLimitHit", "PrometheusSDRefreshFailure",
        "PrometheusTSDBCompactionsFailing", "PrometheusTSDBReloadsFailing", "PrometheusTargetLimitHit",
        "ConfigReloaderSidecarErrors", "AlertmanagerClusterFailedToSendAlertsWarning", "TargetDown",
        "KubeStateMetricsShardingMismatch", "PrometheusNotificationQueueRunningFull", "KubePodImagePull",
        "etcdHighNumberOfLeaderChanges", "etcdHighNumberOfFailedProposals", "etcdMemberCommunicationSlow",
        "etcdExcessiveDatabaseGrowth",
    ],
    "info": [
        "CPUThrottlingHigh", "KubeQuotaAlmostFull", "KubeQuotaFullyUsed", "KubeNodeEviction", "NodeCPUHighUsage",
        "KubeletPodStartUpSlow", "KubeVersionSkewNotice",
    ],
    "none": ["Watchdog", "InfoInhibitor"],
}  # fmt: skip

# What is found in the field beside them: no severity at all, and words of another house.
ODD = {"NoSeverityAtAll": None, "AnotherHouse": "disaster", "Shouting": "CRITICAL", "Padded": " critical "}
