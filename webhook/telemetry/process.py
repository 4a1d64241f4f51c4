"""What one process has done: the metrics, and a line in the log where somebody should know."""

import logging
from collections.abc import Callable

from webhook.core.admission import Review
from webhook.core.decision import Decision, Indeterminate
from webhook.core.objects import AdmissionRequest
from webhook.core.rule import Action
from webhook.telemetry import catalogue
from webhook.telemetry.counters import Counters
from webhook.telemetry.denial import facts
from webhook.telemetry.exposition import Exposition
from webhook.telemetry.lines import LOG, short
from webhook.telemetry.ration import Ration
from webhook.telemetry.scrape import Reading

OnDenial = Callable[[AdmissionRequest, Decision], None]


class Telemetry(Exposition):
    """The metrics and the log of one process."""

    def __init__(
        self, *, log_findings: Action = Action.DENY, on_denial: OnDenial | None = None
    ) -> None:
        """`log_findings`: the mildest action whose findings are worth a line. `on_denial` is told
        of every denied write, by the thread that answers it.
        """
        self._on_denial = on_denial
        super().__init__()
        self._counters = Counters(self.registry)
        self._log_from = log_findings.severity
        self._ration = Ration(_tell_of_suppressed)
        self.export(self._own)

    def decided(self, review: Review, decision: Decision, seconds: float) -> None:
        """Count an answer; log it when it denies, or has findings that are to be logged."""
        self._counters.decided(review.request, decision, seconds)
        if decision.findings:
            self._log(review, decision)
            if self._on_denial is not None and not decision.allowed:
                self._on_denial(review.request, decision)

    def confirmed(self, result: str, seconds: float) -> None:
        """Count a live read that upheld or overturned the denial that the cache gave, or failed."""
        self._counters.confirmed(result, seconds)

    def could_not_tell(self, review: Review, outcome: Indeterminate) -> None:
        """Count and log an answer that had to be put off."""
        self._counters.could_not_tell(outcome.obstacle)
        if self._ration.allows("cannot judge"):
            what, why = short(str(review.request.ref)), short(outcome.because)
            LOG.error("cannot judge %s yet: %s", what, why)

    def rejected(self, code: int, reason: str) -> None:
        """Count and log a request that was no review."""
        self._counters.rejected(code)
        if self._ration.allows("bad request"):
            LOG.warning("bad request (%d): %s", code, short(reason))

    def _log(self, review: Review, decision: Decision) -> None:
        worst = max(finding.action.severity for finding in decision.findings)
        request = review.request
        who, what = short(request.username), short(str(request.ref))
        if worst < self._log_from or not self._ration.allows(f"user {who}"):
            return
        level, verb = (logging.INFO, "allowed") if decision.allowed else (logging.WARNING, "denied")
        LOG.log(level, "%s %s by %s", verb, what, who, extra={"facts": facts(review, decision)})

    def _own(self) -> tuple[Reading, ...]:
        return (Reading(catalogue.LOG_SUPPRESSED, self._ration.suppressed),)


def _tell_of_suppressed(count: int) -> None:
    LOG.warning(
        "%d lines were left out in the last seconds: there were too many",
        count,
        extra={"facts": {"suppressed": count}},
    )
