"""X.509 certificates as PEM values: mint and inspect.

The profile is one that Go's and every other verifier accepts: ECDSA P-256 with SHA-256, random
positive serials, names in the subject alternative names. Nothing here reads a clock, a file or the
network. Only this module and `verification` know `cryptography`.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = timedelta(hours=1)
"""How far `not_before` lies in the past, for verifiers whose clock is behind ours."""

_MAX_COMMON_NAME = 64  # ub-common-name of RFC 5280
_BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Reason(StrEnum):
    """What is wrong with a certificate; the value is a stable word for logs and metrics."""

    UNREADABLE = "unreadable"
    KEY_MISMATCH = "key-mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_NAME = "wrong-name"
    UNTRUSTED = "untrusted"
    NOT_FOR_SERVING = "not-for-serving"


class CertificateProblem(Exception):
    """A certificate or key cannot be used. `reason` is for programs, the text for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate (followed by its intermediates, if any) and its private key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInfo:
    """What a certificate says, in plain types."""

    subject: str
    """RFC 4514 text, as is `issuer`."""
    issuer: str
    names: tuple[str, ...]
    """DNS names and IP addresses among the subject alternative names."""
    not_before: datetime
    not_after: datetime
    is_ca: bool
    serial: int
    key_id: str
    """Subject key identifier in hexadecimal, empty when the certificate has none."""
    fingerprint: str
    """SHA-256 of the DER form in hexadecimal."""


def service_names(
    service: str, namespace: str, cluster_domain: str = "cluster.local"
) -> tuple[str, ...]:
    """The names by which a cluster reaches a Service.

    The API server dials a webhook as `SERVICE.NAMESPACE.svc`. An empty domain leaves the fully
    qualified name out.
    """
    short = f"{service}.{namespace}.svc"
    qualified = (f"{short}.{cluster_domain}",) if cluster_domain else ()
    return (service, f"{service}.{namespace}", short, *qualified)


def issue_ca(name: str, now: datetime, lifetime: timedelta) -> KeyPair:
    """A self-signed CA that may sign leaves only (path length 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    usage = _key_usage(signs_certificates=True)
    builder = (
        _builder(subject, key, now, now + lifetime)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _key_pair(builder.sign(key, hashes.SHA256()), key)


def issue_serving(ca: KeyPair, names: Sequence[str], now: datetime, lifetime: timedelta) -> KeyPair:
    """A server certificate for `names` (DNS names or IP addresses), never outliving its CA.

    Raises ValueError without names, CertificateProblem when the CA is unreadable.
    """
    if not names:
        raise ValueError("a serving certificate needs at least one name")
    return _issue_leaf(
        ca, _subject(names[0]), ExtendedKeyUsageOID.SERVER_AUTH, names, now, lifetime
    )


def issue_client(
    ca: KeyPair, common_name: str, organizations: Sequence[str], now: datetime, lifetime: timedelta
) -> KeyPair:
    """A client certificate: Kubernetes reads the common name as user, organizations as groups."""
    subject = _subject(common_name, organizations)
    return _issue_leaf(ca, subject, ExtendedKeyUsageOID.CLIENT_AUTH, (), now, lifetime)


def inspect(pem: bytes) -> CertificateInfo:
    """What the first certificate in `pem` says. Raises CertificateProblem when unreadable."""
    return info_of(load_certificates(pem)[0])


def inspect_all(pem: bytes) -> tuple[CertificateInfo, ...]:
    """What every certificate in `pem` says, at least one. Raises CertificateProblem."""
    return tuple(info_of(certificate) for certificate in load_certificates(pem))


def split(pem: bytes) -> tuple[bytes, ...]:
    """Each certificate in `pem` alone; none when it is unreadable."""
    try:
        certificates = load_certificates(pem)
    except CertificateProblem:
        return ()
    return tuple(
        certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates
    )


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """Every certificate in `pem`, at least one, read completely. Raises CertificateProblem."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        for certificate in certificates:  # the library parses these two on first use only
            certificate.public_key()
            _ = certificate.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        detail = "not a PEM certificate: empty, cut off or damaged"
        raise CertificateProblem(Reason.UNREADABLE, detail) from error
    # The library skips an unfinished last block in silence.
    last_line = pem[pem.rfind(b"\n") + 1 :]
    cut_off = last_line and _BEGIN_CERTIFICATE.startswith(last_line)
    if cut_off or len(certificates) != pem.count(_BEGIN_CERTIFICATE):
        raise CertificateProblem(Reason.UNREADABLE, "the last PEM certificate is cut off")
    return certificates


def load_private_key(pem: bytes) -> PrivateKeyTypes:
    """The private key in `pem`. Raises CertificateProblem."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:  # how the library reports an encrypted key
        raise CertificateProblem(Reason.UNREADABLE, "the private key is encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        detail = "not a PEM private key: empty, cut off or damaged"
        raise CertificateProblem(Reason.UNREADABLE, detail) from error


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The extension of this kind, if the certificate has it."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def info_of(certificate: x509.Certificate) -> CertificateInfo:
    """What a certificate says."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    key_id = extension_of(certificate, x509.SubjectKeyIdentifier)
    alternatives = extension_of(certificate, x509.SubjectAlternativeName) or ()
    kinds = (x509.DNSName, x509.IPAddress)
    return CertificateInfo(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=tuple(str(name.value) for name in alternatives if isinstance(name, kinds)),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_ca=constraints is not None and constraints.ca,
        serial=certificate.serial_number,
        key_id=key_id.digest.hex() if key_id else "",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _subject(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_MAX_COMMON_NAME]),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _issue_leaf(
    ca: KeyPair,
    subject: x509.Name,
    purpose: x509.ObjectIdentifier,
    names: Sequence[str],
    now: datetime,
    lifetime: timedelta,
) -> KeyPair:
    issuer, issuer_key = load_certificates(ca.certificate)[0], load_private_key(ca.key)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        detail = "a CA key must be ECDSA or RSA to sign here"
        raise CertificateProblem(Reason.UNTRUSTED, detail)
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + lifetime, issuer.not_valid_after_utc)
    builder = (
        _builder(subject, key, now, not_after)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_authority_of(issuer), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return _key_pair(builder.sign(issuer_key, hashes.SHA256()), key)


def _authority_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    key_id = extension_of(issuer, x509.SubjectKeyIdentifier)
    if key_id is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _key_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
