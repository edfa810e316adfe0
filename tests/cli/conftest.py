"""The fixtures of this folder; what they are made of has a name of its own, for tests to import."""

from copy_site import site
from fake_hosts import file, hosts, quorate

__all__ = ["file", "hosts", "quorate", "site"]
