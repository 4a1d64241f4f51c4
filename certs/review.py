"""A serving certificate looked over: for whom, until when, and whether its callers trust it.

Pure: PEM values and the time in, remarks out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from certs.pki import CertificateInfo, CertificateProblem, KeyPair, inspect, inspect_all
from certs.verification import check_serving, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing looked at, and whether it is as it should be."""

    good: bool
    text: str


def review(
    pair: KeyPair,
    ca_bundles: Mapping[str, bytes],
    names: Sequence[str],
    now: datetime,
    within: timedelta,
) -> tuple[Remark, ...]:
    """What there is to say of `pair`, for callers that use `names` and trust the `ca_bundles`.

    What ends `within` this time is not as it should be. `ca_bundles` are PEM by where they are
    from. Raises CertificateProblem when the certificate itself cannot be read.
    """
    info = inspect(pair.certificate)
    remarks = [Remark(good=True, text=f"certificate of {info.subject}, issued by {info.issuer}")]
    remarks.append(_usable(pair, now))
    remarks.append(_lasts("the certificate", info, now, within))
    remarks += (_covers(info, name) for name in names)
    for origin, bundle in ca_bundles.items():
        remarks += _trusted(pair, origin, bundle, names, now, within)
    return tuple(remarks)


def _usable(pair: KeyPair, now: datetime) -> Remark:
    try:
        check_serving(pair, now)
    except CertificateProblem as problem:
        return Remark(good=False, text=str(problem))
    return Remark(good=True, text="the private key belongs to it, and it may serve")


def _lasts(what: str, info: CertificateInfo, now: datetime, within: timedelta) -> Remark:
    left = info.not_after - now
    until = f"{info.not_after:%Y-%m-%d %H:%M} UTC, in {max(left.days, 0)} days"
    return Remark(good=left > within, text=f"{what} is valid until {until}")


def _covers(info: CertificateInfo, name: str) -> Remark:
    listed = ", ".join(info.names) or "no name"
    good = name in info.names
    return Remark(good=good, text=f"{'covers' if good else 'lacks'} {name} (it is for {listed})")


def _trusted(
    pair: KeyPair,
    origin: str,
    bundle: bytes,
    names: Sequence[str],
    now: datetime,
    within: timedelta,
) -> Iterator[Remark]:
    try:
        for name in names:
            verify(pair.certificate, bundle, name, now)
        yield Remark(good=True, text=f"{origin} trusts it")
        for info in inspect_all(bundle):
            yield _lasts(f"{origin}: CA {info.subject}", info, now, within)
    except CertificateProblem as problem:
        yield Remark(good=False, text=f"{origin} does not trust it: {problem}")
