"""Certificates for tests: sound ones from the package, and odd ones crafted by hand."""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.pki import KeyPair, issue_ca, issue_serving

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = "guard.system.svc"
NAMES = ("guard", "guard.system", NAME, "127.0.0.1", "::1")

SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
SIGNS_DATA = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
FOR_CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
FOR_BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


def sound_ca(
    name: str = "test CA", *, now: datetime = NOW, lifetime: timedelta = 365 * DAY
) -> KeyPair:
    return issue_ca(name, now, lifetime)


def sound_serving(
    ca: KeyPair, *names: str, now: datetime = NOW, lifetime: timedelta = 90 * DAY
) -> KeyPair:
    return issue_serving(ca, names or NAMES, now, lifetime)


def alternatives(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def craft(
    subject: str,
    issuer: KeyPair | None = None,
    *extensions: x509.ExtensionType,
    critical: tuple[x509.ExtensionType, ...] = (),
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY),
) -> KeyPair:
    """A certificate with exactly these extensions; self-signed without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, issuer, key.public_key(), valid)
    for extension in (*extensions, *critical):
        builder = builder.add_extension(extension, critical=extension in critical)
    signing_key = _private_key(issuer) if issuer else key
    return _pair(builder.sign(signing_key, hashes.SHA256()), key)


def sha1_signed(names: tuple[str, ...]) -> tuple[KeyPair, KeyPair]:
    """A CA, and a leaf it signed with SHA-1. The library will not, so the DER is changed."""
    key = rsa.generate_private_key(65537, 2048)
    valid = (NOW - DAY, NOW + DAY)
    ca = (
        _builder("old CA", None, key.public_key(), valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    leaf = (
        _builder("leaf", _pair(ca, key), key.public_key(), valid)
        .add_extension(alternatives(*names), critical=False)
        .sign(key, hashes.SHA256())
    )
    sha256_with_rsa, sha1_with_rsa = (
        bytes.fromhex(f"06092a864886f70d0101{end}") for end in ("0b", "05")
    )
    to_be_signed = leaf.tbs_certificate_bytes.replace(sha256_with_rsa, sha1_with_rsa)
    der = (
        leaf.public_bytes(serialization.Encoding.DER)
        .replace(sha256_with_rsa, sha1_with_rsa)
        .replace(leaf.signature, key.sign(to_be_signed, padding.PKCS1v15(), hashes.SHA1()))
    )
    return _pair(ca, key), _pair(x509.load_der_x509_certificate(der), key)


def with_short_key() -> KeyPair:
    key = rsa.generate_private_key(65537, 1024)
    builder = _builder("weak", None, key.public_key(), (NOW - DAY, NOW + DAY))
    return _pair(builder.sign(key, hashes.SHA256()), key)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: str,
    issuer: KeyPair | None,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
    signer = x509.load_pem_x509_certificate(issuer.certificate).subject if issuer else name
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )


def _private_key(pair: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pair.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _pair(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
