"""What is accepted and refused, as the API server's verifier would, and with which reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certs.pki import CertificateProblem, KeyPair, Reason
from certs.verification import check_ca, check_client_ca, check_serving, verify
from tests.certs.builders import (
    DAY,
    FOR_BOTH,
    FOR_CLIENTS,
    FOR_SERVERS,
    NAME,
    NOW,
    SIGNS_CERTIFICATES,
    SIGNS_DATA,
    UNKNOWN,
    alternatives,
    craft,
    sha1_signed,
    sound_ca,
    sound_serving,
)

CA = sound_ca()
ANY_CA = x509.BasicConstraints(ca=True, path_length=None)
NO_INTERMEDIATES = x509.BasicConstraints(ca=True, path_length=0)
NO_CA = x509.BasicConstraints(ca=False, path_length=None)
SAN = alternatives(NAME)
ROOT = craft("root", None, critical=(ANY_CA, SIGNS_CERTIFICATES))
MIDDLE = craft("middle", ROOT, critical=(ANY_CA, SIGNS_CERTIFICATES))
SHA1_CA, SHA1_LEAF = sha1_signed((NAME,))


def chain(*pairs: KeyPair) -> bytes:
    return b"".join(pair.certificate for pair in pairs)


def old_form(key: bytes) -> bytes:
    """How `openssl ecparam -genkey` writes a key."""
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    return parameters + serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


LEAVES: dict[str, tuple[KeyPair, Reason | None]] = {
    "the name that is dialled": (craft("x", CA, SAN), None),
    "a wildcard for the first label": (craft("x", CA, alternatives("*.system.svc")), None),
    "upper case": (craft("x", CA, alternatives(NAME.upper())), None),
    "an empty subject": (craft("", CA, critical=(SAN,)), None),
    "no extended key usage": (craft("x", CA, SAN, SIGNS_DATA), None),
    "for servers and clients": (craft("x", CA, SAN, FOR_BOTH), None),
    "an unknown extension that is not critical": (craft("x", CA, SAN, UNKNOWN), None),
    "a common name alone": (craft(NAME, CA), Reason.WRONG_NAME),
    "another name": (craft("x", CA, alternatives("guard.other.svc")), Reason.WRONG_NAME),
    "the name without svc": (craft("x", CA, alternatives("guard.system")), Reason.WRONG_NAME),
    "the fully qualified name alone": (
        craft("x", CA, alternatives(f"{NAME}.cluster.local")),
        Reason.WRONG_NAME,
    ),
    "a wildcard for two labels": (craft("x", CA, alternatives("*.svc")), Reason.WRONG_NAME),
    "an address": (craft("x", CA, alternatives("10.0.0.1")), Reason.WRONG_NAME),
    "for clients only": (craft("x", CA, SAN, FOR_CLIENTS), Reason.NOT_FOR_SERVING),
    "expired": (craft("x", CA, SAN, valid=(NOW - 2 * DAY, NOW - DAY)), Reason.EXPIRED),
    "not yet valid": (craft("x", CA, SAN, valid=(NOW + DAY, NOW + 2 * DAY)), Reason.NOT_YET_VALID),
    "an unknown critical extension": (
        craft("x", CA, SAN, critical=(UNKNOWN,)),
        Reason.UNTRUSTED,
    ),
    "of another CA of the same name": (sound_serving(sound_ca()), Reason.UNTRUSTED),
    "self-signed": (craft("x", None, SAN), Reason.UNTRUSTED),
}


@pytest.mark.parametrize("case", LEAVES)
def test_a_leaf_is_accepted_or_refused_for_one_reason(case: str) -> None:
    leaf, reason = LEAVES[case]

    assert verdict(leaf.certificate, CA.certificate) == reason


def under(*extensions: x509.ExtensionType, critical: tuple[x509.ExtensionType, ...]) -> KeyPair:
    """A CA with these extensions."""
    return craft("crafted CA", None, *extensions, critical=critical)


CAS = {
    "a CA with basic constraints alone": (under(critical=(ANY_CA,)), None),
    "basic constraints that are not critical": (under(ANY_CA, critical=()), None),
    "a CA for servers": (under(FOR_SERVERS, critical=(ANY_CA, SIGNS_CERTIFICATES)), None),
    "no basic constraints": (under(critical=(SIGNS_CERTIFICATES,)), Reason.UNTRUSTED),
    "basic constraints without CA": (under(critical=(NO_CA,)), Reason.UNTRUSTED),
    "a key usage without signing": (under(critical=(ANY_CA, SIGNS_DATA)), Reason.UNTRUSTED),
    "a CA for clients": (under(FOR_CLIENTS, critical=(ANY_CA,)), Reason.NOT_FOR_SERVING),
    "an unknown critical extension": (under(critical=(ANY_CA, UNKNOWN)), Reason.UNTRUSTED),
    "expired": (
        craft("old CA", None, critical=(ANY_CA,), valid=(NOW - 2 * DAY, NOW - DAY)),
        Reason.EXPIRED,
    ),
    "not yet valid": (
        craft("new CA", None, critical=(ANY_CA,), valid=(NOW + DAY, NOW + 2 * DAY)),
        Reason.NOT_YET_VALID,
    ),
}


@pytest.mark.parametrize("case", CAS)
def test_a_ca_is_accepted_or_refused_for_one_reason(case: str) -> None:
    ca, reason = CAS[case]

    assert verdict(craft("leaf", ca, SAN).certificate, ca.certificate) == reason


SHORT_ROOT = craft("short root", None, critical=(NO_INTERMEDIATES, SIGNS_CERTIFICATES))
TOO_DEEP = craft("too deep", SHORT_ROOT, critical=(ANY_CA, SIGNS_CERTIFICATES))
PINNED = craft("pinned", None, SAN)
PATHS = {
    "signed by the bundle": (chain(sound_serving(CA)), chain(CA), None),
    "signed by the second of two": (chain(sound_serving(CA)), chain(ROOT, CA), None),
    "two CAs of one subject": (chain(sound_serving(CA)), chain(sound_ca(), CA), None),
    "text around the PEM blocks": (
        b"leaf\n" + chain(sound_serving(CA)) + b"end\n",
        "gültig\n".encode() + chain(CA),
        None,
    ),
    "intermediate sent by the server": (chain(craft("x", MIDDLE, SAN), MIDDLE), chain(ROOT), None),
    "intermediate alone in the bundle": (chain(craft("x", MIDDLE, SAN)), chain(MIDDLE), None),
    "self-signed leaf in the bundle": (chain(PINNED), chain(PINNED), None),
    "intermediate missing": (chain(craft("x", MIDDLE, SAN)), chain(ROOT), Reason.UNTRUSTED),
    "path length exceeded": (
        chain(craft("x", TOO_DEEP, SAN), TOO_DEEP),
        chain(SHORT_ROOT),
        Reason.UNTRUSTED,
    ),
    "signed with SHA-1": (chain(SHA1_LEAF), chain(SHA1_CA), Reason.UNTRUSTED),
    "empty chain": (b"", chain(CA), Reason.UNREADABLE),
    "empty bundle": (chain(sound_serving(CA)), b"", Reason.UNREADABLE),
    "bundle cut off": (chain(sound_serving(CA)), chain(CA, ROOT)[:-40], Reason.UNREADABLE),
}


@pytest.mark.parametrize("case", PATHS)
def test_a_path_is_found_or_not(case: str) -> None:
    presented, bundle, reason = PATHS[case]

    assert verdict(presented, bundle) == reason


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "0:0:0:0:0:0:0:1"])
def test_addresses_are_compared_as_addresses(name: str) -> None:
    assert verdict(sound_serving(CA).certificate, CA.certificate, name) is None


def test_the_dates_count_to_the_second() -> None:
    pair = sound_serving(CA, lifetime=DAY)
    info = verify(pair.certificate, CA.certificate, NAME, NOW)
    just_before, just_after = timedelta(seconds=-1), timedelta(seconds=1)

    verdicts = [
        verdict(pair.certificate, CA.certificate, now=moment)
        for moment in (
            info.not_before + just_before,
            info.not_before,
            info.not_after,
            info.not_after + just_after,
        )
    ]

    assert verdicts == [Reason.NOT_YET_VALID, None, None, Reason.EXPIRED]


def test_the_problem_says_what_a_person_needs() -> None:
    leaf = craft("leaf", CA, alternatives("guard.other.svc", "10.0.0.1"))

    with pytest.raises(CertificateProblem) as raised:
        verify(leaf.certificate, CA.certificate, NAME, NOW)

    assert str(raised.value) == (
        "certificate CN=leaf is not for guard.system.svc: it names guard.other.svc, 10.0.0.1"
    )


ENCRYPTED = serialization.load_pem_private_key(sound_serving(CA).key, None).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)
SOUND = sound_serving(CA)
PAIRS = {
    "sound": (SOUND, None),
    "key in the old form of OpenSSL, after its parameters": (
        replace(SOUND, key=old_form(SOUND.key)),
        None,
    ),
    "key of another certificate": (
        replace(SOUND, key=sound_serving(CA).key),
        Reason.KEY_MISMATCH,
    ),
    "chain in the wrong order": (
        replace(SOUND, certificate=chain(CA, SOUND)),
        Reason.KEY_MISMATCH,
    ),
    "key encrypted": (replace(SOUND, key=ENCRYPTED), Reason.UNREADABLE),
    "key cut off": (replace(SOUND, key=SOUND.key[:-30]), Reason.UNREADABLE),
    "key empty": (replace(SOUND, key=b""), Reason.UNREADABLE),
    "certificate in place of the key": (replace(SOUND, key=SOUND.certificate), Reason.UNREADABLE),
    "certificate empty": (replace(SOUND, certificate=b""), Reason.UNREADABLE),
    "certificate is not text": (replace(SOUND, certificate=b"\xff\x00"), Reason.UNREADABLE),
    "for clients only": (craft("x", CA, SAN, FOR_CLIENTS), Reason.NOT_FOR_SERVING),
    "expired": (craft("x", CA, SAN, valid=(NOW - 2 * DAY, NOW - DAY)), Reason.EXPIRED),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_pair_may_be_presented_or_not(case: str) -> None:
    pair, reason = PAIRS[case]

    assert reason_of(lambda: check_serving(pair, NOW)) == reason


CLIENT_CAS = {
    "a sound CA": (chain(CA), None),
    "a sound CA after one that expired": (chain(sound_ca(now=NOW - 400 * DAY), CA), None),
    "an intermediate CA": (chain(MIDDLE), None),
    "a leaf": (chain(SOUND), Reason.UNTRUSTED),
    "an expired CA": (chain(sound_ca(now=NOW - 400 * DAY)), Reason.EXPIRED),
    "nothing": (b"", Reason.UNREADABLE),
}


@pytest.mark.parametrize("case", CLIENT_CAS)
def test_a_bundle_vouches_for_clients_or_not(case: str) -> None:
    bundle, reason = CLIENT_CAS[case]

    assert reason_of(lambda: check_client_ca(bundle, NOW)) == reason


SIGNERS = {
    "a sound CA": (CA, None),
    "a leaf": (SOUND, Reason.UNTRUSTED),
    "the key of another CA": (replace(CA, key=ROOT.key), Reason.KEY_MISMATCH),
    "an expired CA": (sound_ca(now=NOW - 400 * DAY), Reason.EXPIRED),
}


@pytest.mark.parametrize("case", SIGNERS)
def test_a_ca_may_sign_or_not(case: str) -> None:
    pair, reason = SIGNERS[case]

    assert reason_of(lambda: check_ca(pair, NOW)) == reason


def verdict(
    presented: bytes, bundle: bytes, name: str = NAME, now: datetime = NOW
) -> Reason | None:
    return reason_of(lambda: verify(presented, bundle, name, now))


def reason_of(check: Callable[[], object]) -> Reason | None:
    try:
        check()
    except CertificateProblem as problem:
        return problem.reason
    return None
