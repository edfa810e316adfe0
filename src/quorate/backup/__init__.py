"""Backups: taken, sealed, kept at places, proved by restoring them where nobody sees it."""
