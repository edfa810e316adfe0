"""Issuing: values in, PEM out. No clock, no disk; randomness only in keys, and in the serials handed in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quorate.pki.profiles import Wanted

Algorithm = Literal["ecdsa-p256", "rsa-2048", "rsa-3072", "rsa-4096"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

SKEW = timedelta(hours=1)
"""Certificates are valid from so long before now on, for the hosts' clocks are not ours. The preflight refuses more."""
USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}


class PkiError(ValueError):
    """A PEM can't be read. Says why, never what is in it."""


@dataclass(frozen=True)
class CertInfo:
    """What a certificate says. Names are as typed in X.509; `sans` are DNS names and addresses as text."""

    cn: str
    orgs: tuple[str, ...]
    sans: frozenset[str]
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    ca: bool
    usages: frozenset[str]
    """Key usages (digitalSignature, ...) and extended ones (serverAuth, clientAuth)."""
    algorithm: str
    """Algorithm of its public key, in the words of the cluster file."""


def new_key(algorithm: Algorithm) -> bytes:
    """A new private key, PKCS#8 PEM without a passphrase."""
    key: PrivateKey
    if algorithm == "ecdsa-p256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=int(algorithm.removeprefix("rsa-")))
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: bytes) -> bytes:
    """The public half of a private key, as the API server reads service account keys."""
    return (
        load_key(key)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def load_key(pem: bytes) -> PrivateKey:
    """Read a private key. Raises PkiError."""
    try:
        # The check of RSA primes costs 10 ms and more a key; a damaged key fails against its certificate.
        key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PkiError("not a readable private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PkiError("a private key of an unknown kind")
    return key


def load_cert(pem: bytes) -> x509.Certificate:
    """Read a certificate. Raises PkiError."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise PkiError("not a readable certificate") from None


def algorithm_of(key: object) -> str:
    """Algorithm of a public or private key, in the words of the cluster file."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return "ecdsa-p256" if isinstance(key.curve, ec.SECP256R1) else f"ecdsa-{key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"rsa-{key.key_size}"
    return "unknown"


def issue_ca(cn: str, org: str, key: bytes, *, now: datetime, days: int, serial: int) -> bytes:
    """A self-signed CA that may sign leaves but no further CA."""
    private = load_key(key)
    public = private.public_key()
    name = _name(cn, (org,))
    usage = _key_usage(sign=True, encipher=False, ca=True)
    builder = (
        _builder(name, name, public, now - SKEW, now + timedelta(days=days), serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue_leaf(
    wanted: Wanted, key: bytes, ca_cert: bytes, ca_key: bytes, *, now: datetime, days: int, serial: int
) -> bytes:
    """A certificate as the table wants it; its life lies within its CA's."""
    public = load_key(key).public_key()
    issuer = load_cert(ca_cert)
    since = max(now - SKEW, issuer.not_valid_before_utc)
    until = min(now + timedelta(days=days), issuer.not_valid_after_utc)
    usage = _key_usage(sign=True, encipher=isinstance(public, rsa.RSAPublicKey), ca=False)
    extended = [
        *([ExtendedKeyUsageOID.SERVER_AUTH] if wanted.server else []),
        *([ExtendedKeyUsageOID.CLIENT_AUTH] if wanted.client else []),
    ]
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(wanted.cn, wanted.orgs), issuer.subject, public, since, until, serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
    )
    if wanted.sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(san) for san in wanted.sans]), critical=False
        )
    return builder.sign(load_key(ca_key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def inspect(pem: bytes) -> CertInfo:
    """What a certificate says. Raises PkiError."""
    return _info(load_cert(pem))


def fits(
    cert: bytes,
    key: bytes,
    wanted: Wanted,
    ca_cert: bytes,
    *,
    now: datetime,
    renew_before: timedelta,
    algorithm: Algorithm,
) -> str | None:
    """Why a certificate must be issued anew, or None when it is as wanted. Raises PkiError.

    One that ends with its CA is not expiring: a new one would end on the same day. A name that is no longer
    wanted leaves with the next renewal: it is not worth a restart of every API server.
    """
    loaded, issuer = load_cert(cert), load_cert(ca_cert)
    info = _info(loaded)
    usages = {"digitalSignature"} | ({"serverAuth"} if wanted.server else set())
    usages |= {"clientAuth"} if wanted.client else set()
    missing = sorted(set(wanted.sans) - info.sans)
    left = info.not_after - now
    if load_key(key).public_key() != loaded.public_key():
        return "its key is not its own"
    try:
        loaded.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return "another CA issued it"
    reasons = (
        (info.algorithm != algorithm, f"key is {info.algorithm}, wanted {algorithm}"),
        (info.cn != wanted.cn, f"its name is {info.cn}, wanted {wanted.cn}"),
        (set(info.orgs) != set(wanted.orgs), "its groups differ"),
        (bool(missing), f"does not name {', '.join(missing)}"),
        (info.usages - {"keyEncipherment"} != usages, "its usages differ"),
        (info.not_before > now, f"not valid before {info.not_before:%Y-%m-%d %H:%M}"),
        (left <= timedelta(0), f"expired on {info.not_after:%Y-%m-%d}"),
        (
            left < renew_before and info.not_after < issuer.not_valid_after_utc,
            f"expires on {info.not_after:%Y-%m-%d}, in {left.days} days",
        ),
    )
    return next((reason for wrong, reason in reasons if wrong), None)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, since: datetime, until: datetime, serial: int
) -> x509.CertificateBuilder:
    start, end = (each.astimezone(UTC).replace(microsecond=0) for each in (since, until))
    return x509.CertificateBuilder(issuer, subject, public, serial, start, end)


def _name(cn: str, orgs: tuple[str, ...]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, org) for org in orgs]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _general(san: str) -> x509.GeneralName:
    address = _address(san)
    return x509.IPAddress(address) if address else x509.DNSName(san)


def _address(san: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(san)
    except ValueError:
        return None


def _key_usage(*, sign: bool, encipher: bool, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _info(cert: x509.Certificate) -> CertInfo:
    """Read the fields; a certificate that others made may lack any of the extensions."""
    sans: frozenset[str] = frozenset()
    usages: set[str] = set()
    ca = False
    try:
        for extension in cert.extensions:
            value = extension.value
            if isinstance(value, x509.SubjectAlternativeName):
                names = value.get_values_for_type(x509.DNSName)
                sans = frozenset([*names, *map(str, value.get_values_for_type(x509.IPAddress))])
            elif isinstance(value, x509.KeyUsage):
                usages |= {"digitalSignature"} if value.digital_signature else set()
                usages |= {"keyEncipherment"} if value.key_encipherment else set()
                usages |= {"keyCertSign"} if value.key_cert_sign else set()
            elif isinstance(value, x509.ExtendedKeyUsage):
                usages |= {USAGES.get(oid, oid.dotted_string) for oid in value}
            elif isinstance(value, x509.BasicConstraints):
                ca = value.ca
        return CertInfo(
            cn=_first(cert.subject, NameOID.COMMON_NAME),
            orgs=tuple(str(a.value) for a in cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)),
            sans=sans,
            issuer=_first(cert.issuer, NameOID.COMMON_NAME),
            serial=cert.serial_number,
            not_before=cert.not_valid_before_utc,
            not_after=cert.not_valid_after_utc,
            ca=ca,
            usages=frozenset(usages),
            algorithm=algorithm_of(cert.public_key()),
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise PkiError("a certificate with unreadable fields") from None


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return next((str(attribute.value) for attribute in name.get_attributes_for_oid(oid)), "")
