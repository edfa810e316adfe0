"""TLS as every server of ours speaks it."""

MIN_VERSION = "VersionTLS12"

CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
)
"""Suites of TLS 1.2 with forward secrecy and an AEAD cipher (those of TLS 1.3 can't be chosen in Go). HTTP/2
demands the first two (RFC 9113, 9.2.2). The CHACHA20 names are the short ones, which every minor takes."""
