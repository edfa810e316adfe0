"""The fixtures of this folder; what they are made of has a name of its own, for tests to import."""

from deployed import described, three_masters

__all__ = ["described", "three_masters"]
