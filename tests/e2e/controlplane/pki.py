"""The throw-away certificate authority of one control plane. Keys live as long as its directory.

Not a use of the product's `certs` package on purpose: the tests of that package run against the API
server which these certificates serve.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(minutes=5)
_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, directory: Path, name: str) -> None:
        """Write `NAME.crt` and `NAME.key`, the key readable by this user only."""
        (directory / f"{name}.crt").write_bytes(self.certificate)
        write_private(directory / f"{name}.key", self.key)


class Authority:
    """A certificate authority that is trusted for clients and servers of one control plane."""

    def __init__(self) -> None:
        self._key = _new_key()
        self._name = _name("endpoints-guard e2e")
        self._key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(_key_usage(ca=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, as PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """Issue the identity that the API server reads from CN (user) and O (groups)."""
        builder, key = self._leaf(_name(user, groups))
        return self._sign(builder, key, ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, names: Sequence[str]) -> Pair:
        """Issue a serving certificate for DNS names and IP addresses."""
        builder, key = self._leaf(_name(names[0]))
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
        return self._sign(builder, key, ExtendedKeyUsageOID.SERVER_AUTH)

    def _leaf(
        self, subject: x509.Name
    ) -> tuple[x509.CertificateBuilder, ec.EllipticCurvePrivateKey]:
        # Python 3.13 and later refuse a chain without these two extensions.
        key = _new_key()
        builder = _builder(subject, self._name, key.public_key())
        builder = builder.add_extension(self._key_id, critical=False)
        return builder.add_extension(_key_usage(ca=False), critical=True), key

    def _sign(
        self,
        builder: x509.CertificateBuilder,
        key: ec.EllipticCurvePrivateKey,
        usage: x509.ObjectIdentifier,
    ) -> Pair:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(
            certificate=certificate.public_bytes(serialization.Encoding.PEM), key=_private_pem(key)
        )


def write_service_account_keys(directory: Path) -> None:
    """Write `sa.key` and `sa.pub`, with which service account tokens are signed and verified."""
    key = _new_key()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(directory / "sa.key", _private_pem(key))
    (directory / "sa.pub").write_bytes(public)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, at no moment otherwise."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # SEC1, the form that kube-controller-manager reads besides PKCS #1, and Python's ssl too.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
