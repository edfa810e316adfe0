"""Each Kubernetes component's configuration as values: pure functions of cluster, facts and version table."""
