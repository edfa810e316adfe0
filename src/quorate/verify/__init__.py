"""Proof: checks of a running cluster, as data, and their runner."""
