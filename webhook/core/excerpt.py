"""How little of a write it takes to uphold a denial.

Rules judge one address after the other, and ports together with the addresses that they are wrong
for. So whoever denies a part of a write denies all of it: one finding that is true is enough. Only
an allowing verdict needs everything.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, structs

from webhook.core.claims import OldClaims, counted_as_old, port_claims
from webhook.core.decision import Decision, Finding
from webhook.core.engine import Subject
from webhook.core.objects import ListedAddress, Part
from webhook.core.rule import Action


class Excerpt(Struct, frozen=True, gc=False):
    """What of an object is to be looked at."""

    subject: Subject
    parts: tuple[Part, ...]
    """Some addresses, with their ports; none where only the owning Service matters."""
    by_absence: bool = True
    """Whether it matters that no Pod of the namespace holds an address."""

    @property
    def listed(self) -> Iterator[ListedAddress]:
        """Its addresses."""
        return (listed for part in self.parts for listed in part.addresses)


def whole(subject: Subject) -> Excerpt:
    """All of it."""
    return Excerpt(subject, subject.parts)


def most_telling(new: Subject, old: Subject | None, denial: Decision) -> Excerpt:
    """What one denying finding is about, and of several the one that takes least to confirm."""
    denying = (finding for finding in denial.findings if finding.action is Action.DENY)
    finding = min(denying, key=lambda each: each.rule.by_absence)
    parts = _about(new, counted_as_old(new, old), finding)
    return Excerpt(new, parts, finding.rule.by_absence)


def bears_out(excerpt: Excerpt, first: Decision, now: Decision) -> bool:
    """Whether a second look, at an excerpt, says of it what the first decision said, and denies.

    Then the first decision may stand with everything that was found. Where they differ, it was
    taken by somebody who does not know the cluster as it is.
    """
    listed = tuple(excerpt.listed)
    of_listed = {_key(each) for each in first.findings if _has(listed, each.listed)}
    of_others = {_key(each) for each in first.findings if each.listed is None}
    found = {_key(each) for each in now.findings}
    return of_listed <= found <= of_listed | of_others and any(
        each.action is Action.DENY and (excerpt.by_absence or not each.rule.by_absence)
        for each in now.findings
    )


def _key(finding: Finding) -> tuple[str, str, Action]:
    return finding.rule.code, finding.violation.field, finding.action


def _about(new: Subject, old: Subject | None, finding: Finding) -> tuple[Part, ...]:
    """The one address, in its part; nothing where the finding is about the whole object."""
    for part in new.parts:
        listed = _listed(part, old, finding)
        if listed is not None:
            return (structs.replace(part, addresses=(listed,)),)
    return ()


def _listed(part: Part, old: Subject | None, finding: Finding) -> ListedAddress | None:
    """The address in a part that a finding is about, or one of those for which a port is wrong."""
    if finding.listed is not None:
        return finding.listed if _has(part.addresses, finding.listed) else None
    if not (part.addresses and finding.ports and _has(part.ports, finding.ports[0])):
        return None
    candidates = finding.violation.listed or part.addresses
    if old is None:
        return candidates[0]
    # At an address that was at this port before it would be a warning.
    claims, ports, facet = OldClaims(old), port_claims(finding.ports), finding.rule.facet
    added = (each for each in candidates if not claims.cover((each,), ports, facet))
    return next(added, candidates[0])


def _has(values: Iterable[object], value: object) -> bool:
    return any(each is value for each in values)
