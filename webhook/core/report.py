"""What `check` or `audit` found: values. `core/formats` writes them out."""

from collections.abc import Mapping

from msgspec import Struct

from webhook.core.decision import Finding, Verdict
from webhook.core.objects import ObjectRef
from webhook.core.rule import Action


class Origin(Struct, frozen=True, kw_only=True):
    """Where an object stands that came from a file. Lines count from 1."""

    file: str
    line: int
    fields: Mapping[str, int] = {}
    """The lines of fields in which something was found, by path."""

    def line_of(self, field: str) -> int:
        """The line of a field, or that of the object where the field has none of its own."""
        return self.fields.get(field, self.line)


class Judged(Struct, frozen=True, kw_only=True):
    """One object with its verdict and everything found in it."""

    ref: ObjectRef
    verdict: Verdict
    findings: tuple[Finding, ...]
    service_name: str = ""
    """Of Endpoints and EndpointSlices: the owning Service, whether it exists or not."""
    cluster: str = ""
    """The kubeconfig's context, where several clusters were audited."""
    origin: Origin | None = None


class Unread(Struct, frozen=True, kw_only=True):
    """Something that should have been judged or known, but could not be read."""

    place: str
    field: str
    reason: str


class Unjudged(Struct, frozen=True, kw_only=True):
    """A part of a cluster of which nothing can be said, because it could not be read."""

    cluster: str
    what: str
    """A kind, or what else was to be judged."""
    reason: str


class Report(Struct, frozen=True, kw_only=True):
    """The outcome of one run."""

    objects: tuple[Judged, ...]
    unreadable: tuple[Unread, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    hidden: int = 0
    """How many findings the baseline knows already; they are not in `objects`."""

    def count(self, verdict: Verdict) -> int:
        """How many objects got this verdict."""
        return sum(judged.verdict is verdict for judged in self.objects)

    def has_finding_at(self, action: Action) -> bool:
        """Whether there is a finding of this action or a graver one."""
        findings = (finding for judged in self.objects for finding in judged.findings)
        return any(finding.action.severity >= action.severity for finding in findings)
