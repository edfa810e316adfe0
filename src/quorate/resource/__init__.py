"""The bricks: one kind of desired state each."""
