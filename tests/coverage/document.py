"""docs/coverage.md: every bypass and every pattern with what becomes of it, as decided just now."""

from collections.abc import Iterator

from tests.coverage.table import BYPASSES, PATTERNS, Attempt, Row, decided, said, with_profile
from webhook.core.decision import Decision, Reason
from webhook.core.policy import Policy
from webhook.core.rule import Action

_HEAD = """\
# What is stopped, and what is not in the way

Made by `python -m tests.coverage`: edit the tables in `tests/coverage`, not this. Each line is a
test: of the rules, of `check`, of a live cluster in which a denial is confirmed by reading anew,
and, with `make e2e`, of a real API server to which an ordinary user writes. All play in the cluster
of `tests/coverage/scene.yaml`, under the default policy unless another is named.
"""
_BYPASSES = """\
## Bypasses

What somebody who may write endpoints can try in order to lead traffic elsewhere. Where it says
*not yet*, *out of scope* or *trust boundary*, do not rely on endpoints-guard for it.
"""
_PATTERNS = """\
## Patterns

What people and operators legitimately write by hand. Where a profile is named, the policy must
allow it: `profiles: [{name: knative-serving}]`.
"""


def as_markdown() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield _BYPASSES
    yield "| | tried | outcome | what stops it |"
    yield "| --- | --- | --- | --- |"
    for row in BYPASSES:
        yield f"| **{row.number}** | **{row.title}** | | {row.control} |"
        yield from (f"| | {attempt.name} | {_outcome(attempt)} | |" for attempt in row.attempts)
        yield from (f"| | see `{proof}` | | |" for proof in row.proof)
    yield ""
    yield _PATTERNS
    yield "| | written | outcome |"
    yield "| --- | --- | --- |"
    for row in PATTERNS:
        yield f"| **{row.number}** | **{row.title}** | |"
        yield from _pattern_lines(row)


def _pattern_lines(row: Row) -> Iterator[str]:
    for attempt in row.attempts:
        outcome = _outcome(attempt)
        if attempt.profile:
            with_it = _phrase(decided(attempt, with_profile(attempt.profile)))
            outcome = f"with profile {attempt.profile}: {with_it}; without: {outcome}"
        yield f"| | {attempt.name} | {outcome} |"


def _outcome(attempt: Attempt) -> str:
    decision = decided(attempt, Policy()) if attempt.profile else decided(attempt)
    by_itself = "; the API server by itself" if attempt.refused_by_api_server else ""
    policy = f" ({attempt.policy} policy)" if attempt.policy else ""
    return f"{_phrase(decision)}{by_itself}{policy}"


def _phrase(decision: Decision) -> str:
    denied, warned = said(decision, Action.DENY), said(decision, Action.WARN)
    if denied:
        return f"refused: {', '.join(denied)}"
    if warned:
        return f"accepted with a warning: {', '.join(warned)}"
    return "accepted" if decision.reason is Reason.JUDGED else f"accepted: {decision.reason}"
