"""The words that all formats share, so that a finding reads the same wherever it is shown."""

from webhook.core.engine import Finding
from webhook.core.objects import ObjectRef
from webhook.core.report import Unjudged, Unread


def well_formed(text: str) -> str:
    """Text that can be encoded: YAML escapes can make half a character, which UTF-8 has not."""
    return text.encode("utf-8", "replace").decode()


def called(ref: ObjectRef) -> str:
    """An object as kubectl would call it: `Endpoints shop/web`, `ClusterRoleBinding editors`."""
    return f"{ref.kind} " + "/".join(filter(None, (ref.namespace, ref.name)))


def sentence(finding: Finding) -> str:
    """What is wrong, with the facts in brackets."""
    violation = finding.violation
    return violation.message + (f" ({violation.detail})" if violation.detail else "")


def problem(unread: Unread) -> str:
    """Why something could not be read, without the place."""
    return ": ".join(filter(None, (unread.field, unread.reason)))


def counted(number: int, noun: str) -> str:
    """`1 object`, `1,200 objects`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def left_out(part: Unjudged) -> str:
    """What of which cluster could not be read."""
    return " of ".join(filter(None, (part.what, part.cluster)))
