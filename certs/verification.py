"""Whether a certificate would be accepted, and if not, which one thing is at fault.

Judges as Go's verifier does, because the API server is the client that counts. Name constraints are
not evaluated: a CA which carries them may be refused by the API server although accepted here.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.pki import (
    CertificateInfo,
    CertificateProblem,
    KeyPair,
    Reason,
    extension_of,
    info_of,
    load_certificates,
    load_private_key,
)

_SERVER_PURPOSES = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)


def check_serving(pair: KeyPair, now: datetime) -> CertificateInfo:
    """Whether a server may present `pair` at `now`, whoever signed it.

    Raises CertificateProblem: unreadable, key mismatch, not for serving, expired, not yet valid.
    """
    leaf = _require_match(pair)
    _require_serving(leaf)
    _require_valid(leaf, now)
    return info_of(leaf)


def check_ca(pair: KeyPair, now: datetime) -> None:
    """Whether `pair` can sign certificates at `now`.

    Raises CertificateProblem: unreadable, key mismatch, expired, not yet valid, untrusted (no CA).
    """
    certificate = _require_match(pair)
    _require_ca(certificate, below=0)
    _require_valid(certificate, now)


def check_client_ca(bundle: bytes, now: datetime) -> None:
    """Whether `bundle` holds a CA which can vouch for clients at `now`.

    Raises CertificateProblem: unreadable, expired, not yet valid, untrusted (none may sign).
    """
    problems = []
    for certificate in load_certificates(bundle):
        try:
            _require_ca(certificate, below=0)
            _require_valid(certificate, now)
        except CertificateProblem as problem:
            problems.append(problem)
        else:
            return
    raise problems[0]


def verify(chain: bytes, ca_bundle: bytes, name: str, now: datetime) -> CertificateInfo:
    """Whether a client that trusts `ca_bundle` accepts `chain` for `name` (DNS or IP) at `now`.

    Raises CertificateProblem: unreadable, not for serving, expired, not yet valid, wrong name,
    untrusted (not signed by the bundle, or by a certificate that may not sign).
    """
    leaf, *intermediates = load_certificates(chain)
    _require_serving(leaf)
    _require_valid(leaf, now)
    _require_name(leaf, name)
    _require_path(leaf, intermediates, load_certificates(ca_bundle), now)
    return info_of(leaf)


def _require_match(pair: KeyPair) -> x509.Certificate:
    leaf = load_certificates(pair.certificate)[0]
    if _der(leaf.public_key()) != _der(load_private_key(pair.key).public_key()):
        detail = f"the private key does not belong to certificate {_label(leaf)}"
        raise CertificateProblem(Reason.KEY_MISMATCH, detail)
    return leaf


def _der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _label(certificate: x509.Certificate) -> str:
    info = info_of(certificate)
    return info.subject or ", ".join(info.names) or info.fingerprint


def _require_serving(certificate: x509.Certificate) -> None:
    purposes = extension_of(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and _SERVER_PURPOSES.isdisjoint(purposes):
        raise CertificateProblem(
            Reason.NOT_FOR_SERVING,
            f"the extended key usage of certificate {_label(certificate)} lacks serverAuth",
        )


def _require_valid(certificate: x509.Certificate, now: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        reason, says = Reason.EXPIRED, f"expired at {end.isoformat()}"
    elif now < start:
        reason, says = Reason.NOT_YET_VALID, f"is not valid before {start.isoformat()}"
    else:
        return
    raise CertificateProblem(reason, f"certificate {_label(certificate)} {says}")


def _require_name(certificate: x509.Certificate, name: str) -> None:
    names = info_of(certificate).names
    if any(_covers(pattern, name) for pattern in names):
        return
    has = ", ".join(names) or "no DNS name or IP address at all (the common name does not count)"
    detail = f"certificate {_label(certificate)} is not for {name}: it names {has}"
    raise CertificateProblem(Reason.WRONG_NAME, detail)


def _covers(pattern: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(pattern) == ipaddress.ip_address(name)
    except ValueError:
        parent = name.partition(".")[2]
        return pattern.lower() in {name.lower(), f"*.{parent}".lower()}


def _require_path(
    certificate: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: datetime,
    below: int = 0,
) -> None:
    """Find a path up to one of `roots`; raise the problem of the last one tried."""
    _require_known_extensions(certificate)
    if certificate in roots:
        return
    problem = CertificateProblem(
        Reason.UNTRUSTED,
        f"certificate {_label(certificate)} is not signed by any certificate of the CA bundle",
    )
    for issuer in (*roots, *intermediates):
        if not _is_signed_by(certificate, issuer):
            continue
        others = [other for other in intermediates if other != issuer]
        try:
            _require_ca(issuer, below)
            _require_serving(issuer)
            _require_valid(issuer, now)
            _require_path(issuer, others, roots, now, below + 1)
        except CertificateProblem as found:
            problem = found
        else:
            return
    raise problem


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)  # refuses SHA-1, as Go does
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _require_ca(certificate: x509.Certificate, below: int) -> None:
    constraints = extension_of(certificate, x509.BasicConstraints)
    usage = extension_of(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca:
        fault = "is not a CA (basicConstraints)"
    elif constraints.path_length is not None and constraints.path_length < below:
        fault = f"has path length {constraints.path_length}, but {below} CAs below it"
    elif usage is not None and not usage.key_cert_sign:
        fault = "may not sign certificates (keyUsage)"
    else:
        return
    raise CertificateProblem(Reason.UNTRUSTED, f"certificate {_label(certificate)} {fault}")


def _require_known_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise CertificateProblem(
                Reason.UNTRUSTED,
                f"certificate {_label(certificate)} has the unknown critical extension "
                f"{extension.oid.dotted_string}",
            )
