"""TLS as every server of ours speaks it, and what else it may be told to speak."""

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

HTTP2_SUITES = CIPHER_SUITES[:2]
"""Go's HTTP/2 server does not start without one of them."""

STRONG_SUITES = frozenset(
    {
        *CIPHER_SUITES,
        *(f"{suite}_SHA256" for suite in CIPHER_SUITES if suite.endswith("_POLY1305")),
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
)
"""Every name of a suite that may be asked for: ours, their long names, and those of TLS 1.3."""
