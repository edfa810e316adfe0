"""The rooms of the cluster: one module per part, each one pure function."""
