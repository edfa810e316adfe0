"""Faults, and what users of the API notice of them: `probe` measures from outside of the cluster's hosts."""
