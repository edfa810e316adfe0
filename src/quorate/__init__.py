"""quorate: real Kubernetes, highly available, from binaries."""

__version__ = "0.1.0"
