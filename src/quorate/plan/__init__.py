"""From a cluster to a graph of resources, and from answers to a plan."""
