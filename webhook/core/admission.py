"""AdmissionReview, as bytes, to and from `AdmissionRequest` and `Decision`: the wire format,
nothing else.

Sources: admission.k8s.io/v1 AdmissionReview; for what the API server does with the answer,
apiserver's webhook/request/admissionreview.go, webhook/errors/statuserror.go and
filters/warning.go.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Raw, Struct, json, structs

from webhook.core.decision import Decision, Finding
from webhook.core.objects import (
    AdmissionRequest,
    Endpoints,
    EndpointSlice,
    InvalidObject,
    ObjectRef,
    decode,
)
from webhook.core.objects.decoding import api_name
from webhook.core.objects.request import Operation
from webhook.core.rule import Action
from webhook.core.text import one_line

WARNINGS_LIMIT: Final = 10
"""The API server keeps 4,096 characters of warnings for one request, from all sources together."""
LINE_LIMIT: Final = 256
MESSAGE_LINES: Final = 10
ANNOTATION_LIMIT: Final = 4096
CAUSES_LIMIT: Final = 150_000
"""Characters: well over 1,000 causes. The API server sets no limit, but has to carry it."""

_DECODERS: Final[Mapping[tuple[str, str, str], json.Decoder[Endpoints | EndpointSlice | None]]] = {
    ("", "v1", "Endpoints"): json.Decoder(Endpoints | None),
    ("discovery.k8s.io", "v1", "EndpointSlice"): json.Decoder(EndpointSlice | None),
}


class InvalidReview(ValueError):
    """The request to us is bad. `path` names the field, such as `request.uid`."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}" if path else reason)


class Review(Struct, frozen=True):
    """A parsed review: the request, and what the answer must repeat."""

    api_version: str
    uid: str
    request: AdmissionRequest


class _Kind(Struct, frozen=True, gc=False):
    kind: str
    version: str
    group: str = ""


class _UserInfo(Struct, frozen=True, gc=False):
    username: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...] | None] | None = None
    """An empty list is a null: an authenticator may have given one."""


class _Request(Struct, frozen=True, gc=False, rename=api_name):
    uid: str
    kind: _Kind
    operation: Operation
    namespace: str = ""
    name: str = ""
    user_info: _UserInfo = _UserInfo()
    object: Raw = Raw(b"null")
    old_object: Raw = Raw(b"null")
    dry_run: bool | None = None


class _Review(Struct, frozen=True, gc=False, rename=api_name):
    api_version: Literal["admission.k8s.io/v1", "admission.k8s.io/v1beta1"]
    kind: Literal["AdmissionReview"]
    request: _Request


_REVIEW_DECODER: Final = json.Decoder(_Review)
_ENCODER: Final = json.Encoder()


def parse_review(body: bytes, *, however_deep: bool = True) -> Review:
    """Bytes to a request. Raises `InvalidReview`, whatever the bytes are, and nothing else; see
    `decode` for `however_deep`.
    """
    if not body:
        raise InvalidReview("", "the body is empty; an AdmissionReview was expected")
    try:
        review = decode(body, _REVIEW_DECODER, however_deep=however_deep)
    except InvalidObject as error:
        raise InvalidReview(error.path, error.reason) from None
    if not review.request.uid:
        raise InvalidReview("request.uid", "it is empty; the answer must repeat it")
    return Review(review.api_version, review.request.uid, _admission_request(review.request))


def _admission_request(wire: _Request) -> AdmissionRequest:
    kind = wire.kind
    if (kind.group, kind.version, kind.kind) not in _DECODERS:
        group_version = f"{kind.group}/{kind.version}".lstrip("/")
        reason = f"{group_version} {kind.kind} is not judged here, only v1 Endpoints and "
        raise InvalidReview("request.kind", reason + "discovery.k8s.io/v1 EndpointSlice")
    new = _subject(wire, wire.object, "object") if wire.operation in ("CREATE", "UPDATE") else None
    old = _subject(wire, wire.old_object, "oldObject") if wire.operation == "UPDATE" else None
    name = wire.name or (new.ref.name if new is not None else "")
    return AdmissionRequest(
        ref=ObjectRef(kind.kind, wire.namespace, name),
        operation=wire.operation,
        username=wire.user_info.username,
        groups=wire.user_info.groups or (),
        extra=_without_nulls(wire.user_info.extra) if wire.user_info.extra else {},
        dry_run=bool(wire.dry_run),
        new=new,
        old=old,
    )


def _without_nulls(extra: Mapping[str, tuple[str, ...] | None]) -> dict[str, tuple[str, ...]]:
    return {key: values or () for key, values in extra.items()}


def _subject(wire: _Request, raw: Raw, field: str) -> Endpoints | EndpointSlice:
    path = f"request.{field}"
    decoder = _DECODERS[wire.kind.group, wire.kind.version, wire.kind.kind]
    try:
        subject = decode(raw, decoder)
    except InvalidObject as error:
        raise InvalidReview(f"{path}.{error.path}".rstrip("."), error.reason) from None
    if subject is None:
        raise InvalidReview(path, f"it is missing, but the operation is {wire.operation}")
    return _named_by(wire, subject)


def _named_by(wire: _Request, subject: Endpoints | EndpointSlice) -> Endpoints | EndpointSlice:
    """The request's namespace and name decide; objects on their way to storage may lack them."""
    metadata = subject.metadata
    name = metadata.name or wire.name
    if (metadata.namespace, metadata.name) == (wire.namespace, name):
        return subject
    named = structs.replace(metadata, namespace=wire.namespace, name=name)
    return structs.replace(subject, metadata=named)


def render_review(review: Review, decision: Decision, *, for_audit_log: bool = False) -> bytes:
    """The answer to a review, in the version in which it was asked.

    Its annotation may name what is not the writer's only if it is `for_audit_log`: if it is certain
    that an API server asks, which keeps it there.
    """
    response: dict[str, Any] = {"uid": review.uid, "allowed": decision.allowed}
    if not decision.allowed:
        response["status"] = _status(review.request.ref, decision)
    elif decision.findings:
        response["warnings"] = _warnings(decision)
    if decision.findings:
        response["auditAnnotations"] = {"findings": _annotation(decision, for_audit_log)}
    return _ENCODER.encode(
        {"apiVersion": review.api_version, "kind": "AdmissionReview", "response": response}
    )


def _status(ref: ObjectRef, decision: Decision) -> dict[str, Any]:
    denied = [finding for finding in decision.findings if finding.action is Action.DENY]
    malformed = all(finding.violation.malformed for finding in denied)
    more = decision.more(Action.DENY)
    return {
        "status": "Failure",
        "code": 422 if malformed else 403,
        "reason": "Invalid" if malformed else "Forbidden",
        "message": _message(denied, more),
        "details": {"name": ref.name, "kind": ref.kind, "causes": _causes(denied, more)},
    }


def _causes(denied: list[Finding], more: int) -> list[dict[str, str]]:
    """A cause for each finding, as far as they fit; the last one says how many do not."""
    causes: list[dict[str, str]] = []
    room = CAUSES_LIMIT
    for index, finding in enumerate(denied):
        cause = _cause(finding)
        room -= sum(map(len, cause.values()))
        if room < 0:
            more += len(denied) - index
            break
        causes.append(cause)
    return [*causes, {"message": f"... and {more} more"}] if more else causes


def _cause(finding: Finding) -> dict[str, str]:
    violation = finding.violation
    message = ": ".join(filter(None, (violation.message, violation.detail)))
    return {
        "reason": finding.rule.code,
        "field": violation.field,
        "message": one_line(message, 1024),
    }


def _message(denied: list[Finding], more: int) -> str:
    first, *others = denied
    total = len(denied) + more
    rest = f" (and {total - 1} more)" if total > 1 else ""
    lines = [
        one_line(sentence(first), LINE_LIMIT - len(rest)) + rest,
        *(one_line(sentence(finding), LINE_LIMIT) for finding in others[: MESSAGE_LINES - 1]),
    ]
    if total > MESSAGE_LINES:
        lines.append(f"... {total - MESSAGE_LINES} more in status.details.causes")
    remedies = {finding.rule.code: finding.rule.remedy for finding in denied}
    lines += [f"{code}: {remedy}" for code, remedy in remedies.items()]
    return "\n".join(lines)


def sentence(finding: Finding) -> str:
    """One line about a finding: rule, field, and what is wrong."""
    return f"{finding.rule.code} {finding.violation.field}: {finding.violation.message}"


def _warnings(decision: Decision) -> list[str]:
    warned = [finding for finding in decision.findings if finding.action is Action.WARN]
    lines = [one_line(f"endpoints-guard: {sentence(f)}", LINE_LIMIT) for f in warned]
    total = len(lines) + decision.more(Action.WARN)
    if total <= WARNINGS_LIMIT:
        return lines
    more = f"endpoints-guard: {total - WARNINGS_LIMIT + 1} more warnings"
    return [*lines[: WARNINGS_LIMIT - 1], more]


def _annotation(decision: Decision, with_private: bool) -> str:
    """All findings, for the audit log, which may name what the writer may not see."""
    texts = (
        f"{f.action} {sentence(f)}"
        + (f" [{f.violation.private}]" if with_private and f.violation.private else "")
        for f in decision.findings
    )
    return one_line("; ".join(texts), ANNOTATION_LIMIT)
