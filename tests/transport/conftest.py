"""The fixtures of this folder; what they are made of has a name of its own, for tests to import."""

from servers import server, sshd

__all__ = ["server", "sshd"]
