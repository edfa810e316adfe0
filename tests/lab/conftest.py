"""The fixtures of this folder; what they are made of has a name of its own, for tests to import."""

from balanced import balanced
from deployed import described, modern
from logins import site

__all__ = ["balanced", "described", "modern", "site"]
