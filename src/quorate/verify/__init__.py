"""Proof: checks as data and their runner; see `catalog` and `runner`."""
