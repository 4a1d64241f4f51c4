"""What makes a finding the same one tomorrow: for baselines, SARIF and reports in the cluster."""

import json
from hashlib import sha256

from msgspec import Struct, structs

from webhook.core.decision import Finding
from webhook.core.report import Judged


class Identity(Struct, frozen=True, order=True, kw_only=True):
    """A finding in words that survive what does not change it."""

    kind: str
    namespace: str
    name: str
    """For an EndpointSlice the name of its Service, if it has one: the control plane makes up the
    slices' own names, and splits and merges them as it likes. Nothing is lost by that: the same
    address at the same ports twice in one Service leads to no further place.
    """
    rule: str
    subject: str
    """An address with its ports, since a further port leads further; a port; or else the field."""

    @property
    def fingerprint(self) -> str:
        """The same in 64 hexadecimal digits."""
        text = json.dumps(structs.asdict(self), ensure_ascii=False, separators=(",", ":"))
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def identity(judged: Judged, finding: Finding) -> Identity:
    """Which finding it is, whatever the cluster is called and wherever in the object it stands."""
    ref = judged.ref
    return Identity(
        kind=ref.kind,
        namespace=ref.namespace,
        name=judged.service_name or ref.name,
        rule=finding.rule.code,
        subject=_subject(finding),
    )


def _subject(finding: Finding) -> str:
    violation = finding.violation
    if violation.subject:
        return violation.subject
    ports = ",".join(sorted(map(str, finding.ports)))
    if finding.listed is None:
        return ports or violation.field
    address = finding.listed.address
    return f"{address.value or address.text} {ports or 'no port'}"
