"""What the user wants: the cluster file, its rules and the version table."""
