"""The state folder: what must not be lost of a cluster, its past, its journal, and sealed copies of all that."""
