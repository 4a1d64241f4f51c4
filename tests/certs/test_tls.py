"""How the listener speaks TLS, and whom it lets in."""

import os
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from certs.pki import CertificateProblem, KeyPair, issue_client
from certs.serving import ServingCertificate
from certs.tls import build_context, client_name_allowed
from tests.certs.builders import DAY, NAME, sound_ca, sound_serving, with_short_key
from tests.certs.handshake import listening, trusting

TODAY = datetime.now(UTC)
CA = sound_ca(now=TODAY)
PAIR = sound_serving(CA, now=TODAY)


def serving(pair: KeyPair = PAIR, client_ca: Path | None = None) -> ServingCertificate:
    certificate = ServingCertificate(clock=lambda: TODAY, client_ca=client_ca)
    certificate.present(pair, "a test")
    return certificate


def client(pair: KeyPair | None = None, folder: Path | None = None) -> ssl.SSLContext:
    """A client that trusts the CA and may present a certificate."""
    context = trusting(CA.certificate)
    if pair and folder:
        path = folder / "client.pem"
        path.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(path)
    return context


def at_most(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = client()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_the_newest_protocol_is_preferred() -> None:
    with listening(serving()) as listener:
        assert listener.connect(client()).version == "TLSv1.3"


def test_a_client_of_tls_1_2_gets_a_cipher_with_forward_secrecy() -> None:
    with listening(serving()) as listener:
        handshake = listener.connect(at_most(ssl.TLSVersion.TLSv1_2))

    assert handshake.version == "TLSv1.2"
    assert handshake.cipher.startswith("ECDHE-ECDSA-")
    assert "GCM" in handshake.cipher


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_protocols_are_refused() -> None:
    assert build_context(PAIR, None).minimum_version is ssl.TLSVersion.TLSv1_2
    with listening(serving()) as listener, pytest.raises(ssl.SSLError):
        listener.connect(at_most(ssl.TLSVersion.TLSv1_1))


def test_ciphers_without_forward_secrecy_or_authentication_are_refused() -> None:
    context = at_most(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256")

    with listening(serving()) as listener, pytest.raises(ssl.SSLError):
        listener.connect(context)


def test_http_1_1_is_agreed_upon_even_when_http_2_is_offered_first() -> None:
    context = client()
    context.set_alpn_protocols(["h2", "http/1.1"])

    with listening(serving()) as listener:
        assert listener.connect(context).protocol == "http/1.1"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_ticket_is_given(version: ssl.TLSVersion) -> None:
    with listening(serving()) as listener:
        assert not listener.connect(at_most(version)).has_ticket


def test_a_chain_is_sent_whole() -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert(NAME)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    pair = KeyPair(certificate=chain, key=leaf.private_key_pem.bytes())

    with listening(serving(pair)) as listener:
        assert listener.connect(trusting(root.cert_pem.bytes())).version


def test_without_client_ca_nobody_is_asked_for_a_certificate() -> None:
    with listening(serving()) as listener:
        assert listener.connect(client()).peer is None


CLIENTS = {
    "of the client CA": issue_client(CA, "kube-apiserver", (), TODAY, DAY),
    "of another CA": issue_client(sound_ca(now=TODAY), "kube-apiserver", (), TODAY, DAY),
    "for servers only": PAIR,
    "expired": issue_client(CA, "kube-apiserver", (), TODAY - 2 * DAY, DAY),
    "none": None,
}


@pytest.mark.parametrize("case", CLIENTS)
def test_with_client_ca_only_its_clients_are_served(case: str, tmp_path: Path) -> None:
    client_ca = tmp_path / "ca.crt"
    client_ca.write_bytes("für Kunden\n".encode() + CA.certificate)

    with listening(serving(client_ca=client_ca)) as listener:
        context = client(CLIENTS[case], tmp_path)
        if case == "of the client CA":
            peer = listener.connect(context).peer
            assert client_name_allowed(peer, ("kube-apiserver",))
            assert not client_name_allowed(peer, ("front-proxy",))
        else:
            with pytest.raises((ssl.SSLError, OSError)):
                listener.connect(context)


def test_an_intermediate_is_trusted_as_client_ca_without_its_root(tmp_path: Path) -> None:
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert("kube-apiserver")
    pair = KeyPair(certificate=leaf.cert_chain_pems[0].bytes(), key=leaf.private_key_pem.bytes())
    (tmp_path / "ca.crt").write_bytes(middle.cert_pem.bytes())

    with listening(serving(client_ca=tmp_path / "ca.crt")) as listener:
        assert listener.connect(client(pair, tmp_path)).peer


def peer(common_name: str, *alternatives: tuple[str, str]) -> dict[str, Any]:
    """As `SSLSocket.getpeercert` returns it."""
    subject = ((("organizationName", "system:masters"),), (("commonName", common_name),))
    return {"subject": subject, "subjectAltName": alternatives}


NAMES: dict[str, tuple[dict[str, Any] | None, tuple[str, ...], bool]] = {
    "common name": (peer("kube-apiserver"), ("kube-apiserver",), True),
    "one of several": (peer("b"), ("a", "b"), True),
    "alternative DNS name": (peer("x", ("DNS", "api.local")), ("api.local",), True),
    "alternative address": (peer("x", ("IP Address", "10.0.0.1")), ("10.0.0.1",), True),
    "another name": (peer("front-proxy"), ("kube-apiserver",), False),
    "part of a name": (peer("kube-apiserver-2"), ("kube-apiserver",), False),
    "an organization is no name": (peer("x"), ("system:masters",), False),
    "no certificate": (None, ("kube-apiserver",), False),
    "a certificate that was not verified": ({}, ("kube-apiserver",), False),
    "no name is required": (peer("kube-apiserver"), (), False),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_client_is_known_by_its_exact_name(case: str) -> None:
    certificate, allowed, expected = NAMES[case]

    assert client_name_allowed(certificate, allowed) is expected


def open_files() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "temporary file"])
def test_a_key_leaves_no_file_behind(
    in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")

    build_context(PAIR, None)

    assert list(tmp_path.iterdir()) == []
    assert not any("serving-certificate" in path for path in open_files())


def test_what_only_openssl_refuses_is_a_problem_too() -> None:
    with pytest.raises(CertificateProblem, match=r"OpenSSL refuses it: .*KEY_TOO_SMALL"):
        build_context(with_short_key(), None)
