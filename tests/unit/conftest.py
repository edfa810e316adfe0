"""The fixtures of this folder; what they are made of has a name of its own, for tests to import."""

from probing import api, pki
from state_folders import cheap, cluster_file, full
from verify_door import nothing_is_asked_from_here

__all__ = ["api", "cheap", "cluster_file", "full", "nothing_is_asked_from_here", "pki"]
