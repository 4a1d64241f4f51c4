"""A report at a glance: what was found where, how often, the worst first."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct

from webhook.core.decision import Finding
from webhook.core.report import Judged, Report
from webhook.core.rule import Action, Rule

ACTIONS = (Action.DENY, Action.WARN, Action.AUDIT)
"""What a finding can have, the gravest first."""


class Tally(Struct, frozen=True, order=True):
    """How many findings of each action; the greater one is the worse one."""

    deny: int = 0
    warn: int = 0
    audit: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.deny + self.warn + self.audit

    def of(self, action: Action) -> int:
        """Those of one action."""
        counts: dict[Action, int] = dict(
            zip(ACTIONS, (self.deny, self.warn, self.audit), strict=True)
        )
        return counts[action]


class Group(Struct, frozen=True, kw_only=True):
    """The objects of one namespace in which something was found."""

    cluster: str
    namespace: str
    """Empty for what belongs to the whole cluster."""
    objects: tuple[Judged, ...]
    tally: Tally


def tally(findings: Iterable[Finding]) -> Tally:
    """Count them."""
    counts = Counter(finding.action for finding in findings)
    return Tally(*(counts[action] for action in ACTIONS))


def every_finding(report: Report) -> Iterator[Finding]:
    """All findings of all objects, as they come."""
    return (finding for judged in report.objects for finding in judged.findings)


def by_rule(report: Report) -> list[tuple[Rule, Tally]]:
    """Each rule that was broken, the worst first."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in every_finding(report):
        found[finding.rule.code].append(finding)
    counted = [(findings[0].rule, tally(findings)) for findings in found.values()]
    return sorted(counted, key=lambda pair: (_worst(pair[1]), pair[0].code))


def by_namespace(report: Report) -> list[Group]:
    """Each namespace in which something was found, the worst first; its objects likewise."""
    found: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for judged in report.objects:
        if judged.findings:
            found[judged.cluster, judged.ref.namespace].append(judged)
    groups = [
        Group(
            cluster=cluster,
            namespace=namespace,
            objects=tuple(sorted(objects, key=_worst_object)),
            tally=tally(f for judged in objects for f in judged.findings),
        )
        for (cluster, namespace), objects in found.items()
    ]
    return sorted(groups, key=lambda group: (_worst(group.tally), group.cluster, group.namespace))


def worst_first(report: Report) -> list[tuple[Judged, Finding]]:
    """Every finding with its object: the gravest first, otherwise in the order of the report."""
    pairs = [(judged, finding) for judged in report.objects for finding in judged.findings]
    return sorted(pairs, key=lambda pair: -pair[1].action.severity)


def _worst(counts: Tally) -> tuple[int, int, int]:
    return -counts.deny, -counts.warn, -counts.audit


def _worst_object(judged: Judged) -> tuple[tuple[int, int, int], str, str]:
    return _worst(tally(judged.findings)), judged.ref.kind, judged.ref.name
