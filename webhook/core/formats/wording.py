"""The words that all formats share, so that a finding reads the same wherever it is shown."""

from typing import Final

from webhook.core.decision import Finding
from webhook.core.objects import EndpointSlice, ObjectRef
from webhook.core.report import Judged, Unjudged, Unread
from webhook.core.rule import Rule
from webhook.core.text import one_line

HOME: Final = "https://github.com/endpoints-guard/endpoints-guard"


def help_page(rule: Rule) -> str:
    """Where a rule is explained to whoever has a browser only."""
    return f"{HOME}/blob/main/docs/rules.md#{rule.code.lower()}"


def well_formed(text: str) -> str:
    """Text as it is, for programs, but such that it can be encoded: a file's name can hold what
    UTF-8 has not.
    """
    return text.encode("utf-8", "replace").decode()


def shown(text: str) -> str:
    """Text for people: whole, on one line, and without what cannot be printed."""
    return one_line(text, len(text))


def called(ref: ObjectRef) -> str:
    """An object as kubectl would call it: `Endpoints shop/web`, `ClusterRoleBinding editors`."""
    return f"{ref.kind} " + "/".join(filter(None, (ref.namespace, ref.name)))


def of_service(judged: Judged) -> str:
    """Whose a slice is, to be put behind its name, which the control plane makes up."""
    slice_of = judged.ref.kind == EndpointSlice.kind and judged.service_name
    return f" of Service {judged.service_name}" if slice_of else ""


def statement(finding: Finding) -> str:
    """What is wrong, with the facts in brackets."""
    violation = finding.violation
    return violation.message + (f" ({violation.detail})" if violation.detail else "")


def sentence(finding: Finding) -> str:
    """The statement and, last so that it can be copied, the command that mends it."""
    command = finding.violation.command
    return statement(finding) + (f"; to mend it, run: {command}" if command else "")


def problem(unread: Unread) -> str:
    """Why something could not be read, without the place."""
    return ": ".join(filter(None, (unread.field, unread.reason)))


def counted(number: int, noun: str) -> str:
    """`1 object`, `1,200 objects`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def left_out(part: Unjudged) -> str:
    """What of which cluster could not be read."""
    return " of ".join(filter(None, (part.what, part.cluster)))
