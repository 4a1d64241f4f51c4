"""What `certs show` says: for whom, until when, and whether callers trust it."""

from datetime import UTC, datetime, timedelta

import pytest

from certs.pki import KeyPair, issue_ca, issue_serving
from certs.review import review

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = "endpoints-guard.endpoints-guard.svc"
CA = issue_ca("ours", NOW, 365 * DAY)
SERVING = issue_serving(CA, (NAME,), NOW, 90 * DAY)
STRANGER = issue_ca("a stranger's", NOW, 365 * DAY)


def complaints(pair: KeyPair, bundle: bytes, *, name: str = NAME, at: datetime = NOW) -> list[str]:
    remarks = review(pair, {"the bundle": bundle}, (name,), at, 14 * DAY)
    return [remark.text for remark in remarks if not remark.good]


def test_nothing_is_wrong_with_a_fresh_certificate() -> None:
    assert complaints(SERVING, CA.certificate) == []


CASES: dict[str, tuple[KeyPair, bytes, str, datetime, str]] = {
    "it ends soon": (SERVING, CA.certificate, NAME, NOW + 80 * DAY, "valid until 2027-02-21"),
    "it has ended": (SERVING, CA.certificate, NAME, NOW + 91 * DAY, "in 0 days"),
    "the CA ends soon": (
        SERVING,
        CA.certificate,
        NAME,
        NOW + 355 * DAY,
        "the certificate is valid until",
    ),
    "another name": (SERVING, CA.certificate, "other.svc", NOW, "lacks other.svc"),
    "another's key": (
        KeyPair(certificate=SERVING.certificate, key=CA.key),
        CA.certificate,
        NAME,
        NOW,
        "the private key does not belong to",
    ),
    "callers trust another CA": (
        SERVING,
        STRANGER.certificate,
        NAME,
        NOW,
        "the bundle does not trust it",
    ),
    "callers trust nothing": (SERVING, b"", NAME, NOW, "the bundle does not trust it"),
}


@pytest.mark.parametrize(("pair", "bundle", "name", "at", "said"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_said(
    pair: KeyPair, bundle: bytes, name: str, at: datetime, said: str
) -> None:
    assert any(said in text for text in complaints(pair, bundle, name=name, at=at))
