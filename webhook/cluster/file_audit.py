"""One audit of what stands in files: no finding rests on a kind of which there is none in them.

Files need not hold everything. A cluster without any Endpoints is rare, a dump without them is not;
so what seems to be gone there is not called so, and the report says what was not judged.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from webhook.cluster.auditor import Scope
from webhook.cluster.manifests import Manifests, state_of
from webhook.cluster.origins import located
from webhook.cluster.resources import STORED
from webhook.core.audit import audit
from webhook.core.policy import Policy
from webhook.core.report import Judged, Report, Unjudged
from webhook.core.rules import RULES


class FileAudit(Struct, frozen=True):
    """What came of it."""

    report: Report
    absent: tuple[str, ...]
    """Kinds that rules rest on, and of which the files have none."""
    narrowed: tuple[str, ...]
    """Rules that may find too little without them, or nothing at all."""

    @property
    def caveat(self) -> str:
        """A line about it; nothing when the files have everything."""
        if not self.absent:
            return ""
        kinds, rules = ", ".join(self.absent), ", ".join(self.narrowed)
        return f"not in the files: {kinds}; so less may be found by {rules}\n"


def audit_files(manifests: Manifests, policy: Policy, scope: Scope) -> FileAudit:
    """Judge all that is in them."""
    missing = {kind for code in scope.rules for kind in RULES[code].rests_on} - manifests.kinds
    absent = tuple(each.kind for each in STORED if each.kind in missing)
    inventory = state_of(manifests)
    judged = tuple(audit(inventory, policy, namespaces=scope.only, rules=scope.rules))
    unsound = {code for code in _codes(judged) if RULES[code].may_overstate(absent)}
    if unsound:
        rules = scope.rules - unsound
        judged = tuple(audit(inventory, policy, namespaces=scope.only, rules=rules))
    places = manifests.sources
    report = Report(
        objects=located(judged, [places.get(each.ref) for each in judged]),
        unreadable=manifests.unread,
        unjudged=tuple(_unjudged(unsound, absent)),
    )
    narrowed = sorted(code for code in scope.rules if not RULES[code].can_do_without(absent))
    return FileAudit(report, absent, tuple(narrowed))


def _codes(judged: Iterable[Judged]) -> set[str]:
    return {finding.rule.code for each in judged for finding in each.findings}


def _unjudged(unsound: Iterable[str], absent: Iterable[str]) -> Iterator[Unjudged]:
    for kind in absent:
        codes = sorted(code for code in unsound if RULES[code].may_overstate((kind,)))
        if codes:
            reason = f"there is none in the files; rules left out: {', '.join(codes)}"
            yield Unjudged(cluster="", what=kind, reason=reason)
