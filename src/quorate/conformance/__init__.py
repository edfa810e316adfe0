"""The CNCF's conformance tests against a cluster: what is run, how, and what came of it."""
