"""Kubernetes Events about denied writes, for whoever looks into the namespace with kubectl.

Written by a thread of its own: no answer waits for one, and none is lost for want of one. What
happens again and again becomes one Event and, minutes later, a second one with a count: nothing is
ever patched, so the right to create Events is enough. When there is more than is written, it is
dropped and counted.

An Event is readable by everybody who may read its namespace, who need not be the writer. So it says
which rules were broken and where, and nothing that anybody wrote or owns: no address, no user, no
name of another namespace.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Any, Final

from webhook.cluster.api import ClusterApi
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.paths import object_path
from webhook.core.decision import Decision
from webhook.core.objects import AdmissionRequest
from webhook.core.rule import Action

CONTROLLER: Final = "endpoints-guard.io/webhook"
COLLECTION: Final = "/apis/events.k8s.io/v1/events"
NOTE_LIMIT: Final = 1024
"""Bytes; the API server takes no longer note."""
LONGEST_NAME: Final = 253
"""Characters; nothing in Kubernetes has a longer name, whatever is sent to us."""
DISTINCT: Final = 256
"""Different denials that are remembered at once; what is new beyond that is dropped."""
OF_NAMESPACE: Final = 16
"""Of them, those of one namespace."""
POST_SECONDS: Final = 5.0
"""How long one Event may take to write."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often an Event is written. Times are in seconds."""

    window: float = 300.0
    """What happens again within this time is counted, and told of at its end."""
    between: float = 0.2
    """Between any two Events of this process."""


DEFAULT_PACE: Final = Pace()


@dataclass(frozen=True, slots=True)
class Denial:
    """What an Event says. Equal ones are counted as one."""

    kind: str
    namespace: str
    service: str
    note: str


@dataclass(slots=True)
class _Sightings:
    """One denial, and how often it came since it was last told of."""

    name: str
    """Of the object that was to be written first."""
    due: float
    """A time of `time.monotonic()`."""
    first: datetime | None = None
    last: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """What became of Events, from the beginning."""

    written: int
    failed: int
    dropped: int


def denial_of(request: AdmissionRequest, decision: Decision) -> Denial:
    """What an Event about a denied write says."""
    found: dict[str, list[str]] = {}
    titles = {}
    for finding in decision.findings:
        if finding.action is Action.DENY:
            found.setdefault(finding.rule.code, []).append(finding.violation.field)
            titles[finding.rule.code] = finding.rule.title
    broken = []
    for code, fields in found.items():
        others = len(fields) - 1 + decision.left_out.get((code, Action.DENY), 0)
        more = f" and {others} more" if others else ""
        broken.append(f"{code} ({titles[code]}) at {fields[0]}{more}")
    text = f"endpoints-guard denied a write. Rules broken: {'; '.join(broken)}"
    note = text.encode()[:NOTE_LIMIT].decode(errors="ignore")
    ref, new = request.ref, request.new
    service = (new and new.service_name) or ref.name
    return Denial(ref.kind, ref.namespace[:LONGEST_NAME], service[:LONGEST_NAME], note)


class EventWriter:
    """Writes Events for one process. `note` from any thread; `start` after the fork."""

    def __init__(
        self,
        api: ClusterApi,
        instance: str,
        clock: Callable[[], datetime],
        *,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        """`instance` says which process writes: the name of the Pod."""
        self._api = api
        self._instance = instance
        self._clock = clock
        self._pace = pace
        self._known: dict[Denial, _Sightings] = {}
        self._changed = threading.Condition()
        self._written = self._failed = self._dropped = 0
        self._complaint = ""

    def start(self) -> None:
        """Begin to write."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def note(self, request: AdmissionRequest, decision: Decision) -> None:
        """Let there be an Event about this denial, some time, if possible."""
        if request.dry_run or not request.ref.namespace:
            return
        denial, now = denial_of(request, decision), self._clock()
        with self._changed:
            sightings = self._known.get(denial)
            if sightings is None and not self._has_room(denial.namespace):
                self._dropped += 1
                return
            if sightings is None:
                name = request.ref.name[:LONGEST_NAME]
                sightings = self._known[denial] = _Sightings(name, due=monotonic())
                self._changed.notify()
            sightings.first = sightings.first or now
            sightings.last = now
            sightings.count += 1

    def _has_room(self, namespace: str) -> bool:
        of_namespace = sum(denial.namespace == namespace for denial in self._known)
        return len(self._known) < DISTINCT and of_namespace < OF_NAMESPACE

    def counts(self) -> EventCounts:
        """What became of Events so far."""
        return EventCounts(written=self._written, failed=self._failed, dropped=self._dropped)

    def _run(self) -> None:
        while True:
            self._write(self._next())
            sleep(self._pace.between)

    def _next(self) -> dict[str, Any]:
        """Wait for an Event that is due."""
        with self._changed:
            while True:
                now = monotonic()
                for denial, sightings in tuple(self._known.items()):
                    if sightings.due > now:
                        continue
                    if not sightings.count:
                        del self._known[denial]
                        continue
                    body = self._event(denial, sightings)
                    self._known[denial] = _Sightings(sightings.name, due=now + self._pace.window)
                    return body
                soonest = min((s.due for s in self._known.values()), default=None)
                self._changed.wait(None if soonest is None else max(0.0, soonest - now))

    def _event(self, denial: Denial, sightings: _Sightings) -> dict[str, Any]:
        """events.k8s.io/v1 Event."""
        name = sightings.name
        group_version = "discovery.k8s.io/v1" if denial.kind == "EndpointSlice" else "v1"
        event: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": denial.namespace,
                "generateName": f"{name[:200].rstrip('-.')}-",
            },
            "eventTime": _micro_time(sightings.first),
            "type": "Warning",
            "reason": "EndpointsDenied",
            "action": "Write",
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
            "regarding": _reference(group_version, denial.kind, denial.namespace, name),
            "related": _reference("v1", "Service", denial.namespace, denial.service),
            "note": denial.note,
        }
        if sightings.count > 1:
            last = _micro_time(sightings.last)
            event["series"] = {"count": sightings.count, "lastObservedTime": last}
        return event

    def _write(self, body: dict[str, Any]) -> None:
        try:
            path = object_path(COLLECTION, body["metadata"]["namespace"])
            self._api.post(path, body, deadline=monotonic() + POST_SECONDS)
        except (ClusterUnavailable, ValueError) as error:
            self._failed += 1
            if str(error) != self._complaint:
                log.warning("an Event cannot be written: %s", error)
            self._complaint = str(error)
        else:
            self._written += 1
            self._complaint = ""


def _reference(api_version: str, kind: str, namespace: str, name: str) -> dict[str, str]:
    return {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name}


def _micro_time(moment: datetime | None) -> str | None:
    """metav1.MicroTime."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
