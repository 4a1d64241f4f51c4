"""What is minted is what every verifier accepts, and what is read is what is there."""

import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from certs.pki import (
    CertificateProblem,
    KeyPair,
    Reason,
    inspect,
    inspect_all,
    issue_client,
    issue_serving,
    service_names,
    split,
)
from tests.certs.builders import DAY, NAME, NAMES, NOW, craft, sound_ca, sound_serving

CA = sound_ca()
LEAF = sound_serving(CA)


def test_a_ca_signs_certificates_and_nothing_else() -> None:
    ca = x509.load_pem_x509_certificate(CA.certificate)

    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(True, 0))
    assert usage.critical
    assert granted(usage.value) == {"key_cert_sign", "crl_sign"}
    assert_common_profile(ca)


def test_a_serving_certificate_serves_and_nothing_else() -> None:
    leaf = x509.load_pem_x509_certificate(LEAF.certificate)

    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert constraints.value == x509.BasicConstraints(False, None)
    assert granted(usage.value) == {"digital_signature"}
    assert list(purposes.value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert_common_profile(leaf)


def test_a_leaf_names_the_key_that_signed_it() -> None:
    leaf = x509.load_pem_x509_certificate(LEAF.certificate)

    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value

    assert authority.key_identifier is not None
    assert authority.key_identifier.hex() == inspect(CA.certificate).key_id


def assert_common_profile(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert 0 < certificate.serial_number < 1 << 159  # 20 octets at most, and positive


def granted(usage: x509.KeyUsage) -> set[str]:
    bits = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    return {
        bit for bit in (*bits, "key_agreement", "key_cert_sign", "crl_sign") if getattr(usage, bit)
    }


def accepted_by_cryptography(leaf: KeyPair, ca: KeyPair, folder: Path) -> None:
    """Stricter than Go's verifier."""
    store = Store(x509.load_pem_x509_certificates(ca.certificate))
    verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(NAME))
    verifier.verify(x509.load_pem_x509_certificate(leaf.certificate), [])


def accepted_by_openssl(leaf: KeyPair, ca: KeyPair, folder: Path) -> None:
    (folder / "ca.crt").write_bytes(ca.certificate)
    (folder / "tls.crt").write_bytes(leaf.certificate)
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        NAME,
    ]
    at = ["-attime", str(int(NOW.timestamp()))]
    files = ["-CAfile", str(folder / "ca.crt"), str(folder / "tls.crt")]
    subprocess.run([*command, *at, *files], check=True, capture_output=True)


VERIFIERS: dict[str, Callable[[KeyPair, KeyPair, Path], None]] = {
    "cryptography": accepted_by_cryptography
}
if shutil.which("openssl"):
    VERIFIERS["openssl"] = accepted_by_openssl


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_independent_verifiers_accept_it(verifier: str, tmp_path: Path) -> None:
    VERIFIERS[verifier](LEAF, CA, tmp_path)


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_independent_verifiers_refuse_another_ca_of_that_name(
    verifier: str, tmp_path: Path
) -> None:
    with pytest.raises((x509.verification.VerificationError, subprocess.CalledProcessError)):
        VERIFIERS[verifier](LEAF, sound_ca(), tmp_path)


def test_a_client_certificate_says_who_the_caller_is() -> None:
    client = issue_client(CA, "kube-apiserver", ("system:masters", "others"), NOW, DAY)

    certificate = x509.load_pem_x509_certificate(client.certificate)
    assert certificate.subject.rfc4514_string() == "CN=kube-apiserver,O=others,O=system:masters"
    assert granted(certificate.extensions.get_extension_for_class(x509.KeyUsage).value) == {
        "digital_signature"
    }
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_every_name_of_a_service_is_known() -> None:
    assert service_names("guard", "system") == (
        "guard",
        "guard.system",
        "guard.system.svc",
        "guard.system.svc.cluster.local",
    )
    assert service_names("guard", "system", "example.org")[-1] == "guard.system.svc.example.org"
    assert service_names("guard", "system", "") == ("guard", "guard.system", "guard.system.svc")


def test_certificates_begin_an_hour_ago_for_verifiers_that_are_behind() -> None:
    now = NOW + timedelta(microseconds=654_321)  # certificates know whole seconds only

    info = inspect(sound_serving(CA, now=now, lifetime=DAY).certificate)

    assert (info.not_before, info.not_after) == (NOW - timedelta(hours=1), NOW + DAY)


def test_a_leaf_never_outlives_its_ca() -> None:
    ca = sound_ca(lifetime=30 * DAY)

    leaf = sound_serving(ca, lifetime=90 * DAY)

    assert inspect(leaf.certificate).not_after == inspect(ca.certificate).not_after


def test_a_ca_with_an_rsa_key_or_without_key_identifier_can_sign() -> None:
    root = trustme.CA(key_type=trustme.KeyType.RSA)
    pair = KeyPair(certificate=root.cert_pem.bytes(), key=root.private_key_pem.bytes())
    bare = craft("bare", None, critical=(x509.BasicConstraints(ca=True, path_length=None),))

    for ca in (pair, bare):
        leaf = x509.load_pem_x509_certificate(sound_serving(ca).certificate)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate))


def test_no_two_certificates_share_a_serial_or_a_key() -> None:
    infos = [inspect(sound_serving(CA).certificate) for _ in range(20)]

    assert len({info.serial for info in infos}) == 20
    assert len({info.key_id for info in infos}) == 20


def test_a_name_too_long_for_a_common_name_is_still_an_alternative_name() -> None:
    name = f"{'s' * 63}.{'n' * 63}.svc"

    assert inspect(sound_serving(CA, name).certificate).names == (name,)


def test_a_serving_certificate_without_names_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        issue_serving(CA, (), NOW, DAY)


def test_inspecting_tells_what_the_certificate_says() -> None:
    info = inspect(LEAF.certificate)
    parsed = x509.load_pem_x509_certificate(LEAF.certificate)

    assert (info.subject, info.issuer) == ("CN=guard", "CN=test CA")
    assert info.names == NAMES
    assert not info.is_ca
    assert inspect(CA.certificate).is_ca
    assert info.serial == parsed.serial_number
    assert info.fingerprint == parsed.fingerprint(hashes.SHA256()).hex()


def test_inspecting_reads_what_others_minted() -> None:
    root = trustme.CA()
    leaf = root.issue_cert("guard.system.svc", "10.0.0.7", "2001:db8::7")

    info = inspect(leaf.cert_chain_pems[0].bytes())

    assert info.names == ("guard.system.svc", "10.0.0.7", "2001:db8::7")
    assert inspect(root.cert_pem.bytes()).is_ca


def test_a_file_cut_off_anywhere_is_never_taken_for_the_whole() -> None:
    whole = CA.certificate + LEAF.certificate
    readable = [length for length in range(len(whole)) if is_readable(whole[:length])]

    end_of_first = len(CA.certificate)
    assert readable == [end_of_first - 1, end_of_first, len(whole) - 1]  # but for a last newline


def is_readable(pem: bytes) -> bool:
    try:
        inspect_all(pem)
    except CertificateProblem as problem:
        return problem.reason is not Reason.UNREADABLE
    return True


def test_a_bundle_is_split_into_its_certificates() -> None:
    assert split(b"ours:\n" + CA.certificate + LEAF.certificate) == (
        CA.certificate,
        LEAF.certificate,
    )
    assert split(b"\n") == ()


def test_a_private_key_is_in_no_representation() -> None:
    assert "PRIVATE" not in repr(LEAF)
    assert "PRIVATE" not in f"{LEAF}"
