"""The resources: one kind of desired state each."""
