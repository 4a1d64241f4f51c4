"""Why a controller's own write can be refused: it was computed from a state that has passed.

`Explainer.explain` finds the versions of Service and Pod for which the write was right, address by
address, and names what has changed since. A refusal for which there is none is no race but a false
denial, and so is the refusal of a write that was right all the while.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from tests.e2e.api import Json
from tests.e2e.cluster import MIRRORING_CONTROLLER, SERVICE_NAME
from tests.e2e.differential.claims import Claim, claims, could_mirror, could_say
from tests.e2e.differential.history import History, Version
from tests.e2e.differential.judgement import Judgement
from tests.e2e.differential.rows import (
    EXPLAINS,
    Row,
    ips,
    is_live,
    is_mirrored,
    mirroring_changes,
    pod_changes,
    service_changes,
    told,
)

WINDOW = 120.0
"""Seconds: the oldest state that a controller may still have had."""
SLACK = 0.5
"""Seconds by which a version may be noted later than the webhook read it."""
SHOWN = 3.0
"""Seconds before the write of which a failure shows the versions."""


class Unexplained(AssertionError):
    """A refusal that is no race, with all that is known about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Versions for which a claim was right; what it did not depend on is None."""

    service: Version | None
    pod: Version | None = None
    mirrored: Version | None = None

    def stood(self, begin: float, end: float) -> bool:
        """It was the state all the while."""
        every = (self.service, self.pod, self.mirrored)
        return all(v is None or v.was_there_throughout(begin, end) for v in every)

    @property
    def mixed(self) -> bool:
        """Service and Pod were never so at one time."""
        service, pod = self.service, self.pod
        if service is None or pod is None:
            return False
        return service.until <= pod.since or pod.until <= service.since


class Explainer:
    """Explains the refusals of one run."""

    def __init__(self, history: History) -> None:
        self._history = history
        pods = history.all_versions("Pod")
        self._pods_by_uid = _grouped(pods, lambda pod: [pod.uid])
        self._pods_by_ip = _grouped(pods, ips)

    def is_justified(self, judgement: Judgement, claim: Claim) -> bool:
        """Whether a controller could have written this from what there was within the window."""
        return next(self._bases(judgement, claim), None) is not None

    def explain(self, judgement: Judgement) -> set[Row]:
        """What had changed. Raises `Unexplained`."""
        every = claims(judgement.written)
        found = [
            self._explain_cause(judgement, cause, _concerned(cause, every))
            for cause in judgement.causes
        ]
        return set().union(*found)

    def facts(self, judgement: Judgement, why: str, concerned: Iterable[Claim]) -> str:
        """Everything that somebody needs to judge for themselves."""
        namespace, name = judgement.request["namespace"], service_name(judgement.written)
        write = f"{judgement.writer} {judgement.request['operation']} {judgement.kind}"
        times = f"came {judgement.arrived:.3f}, judged {judgement.asked:.3f}"
        until = f"to {judgement.answered:.3f}"
        lines = [f"{write} {namespace}/{name}: {times} {until}", why]
        kinds = ["Service"]
        if judgement.writer == MIRRORING_CONTROLLER:
            kinds.append("Endpoints")
        versions = [v for kind in kinds for v in self._history.versions(kind, namespace, name)]
        for uid in sorted({claim.uid for claim in concerned})[:3]:
            versions += self._pods_by_uid.get(uid, [])
        begin, end = judgement.arrived - SHOWN, judgement.answered + SLACK
        lines += [told(version) for version in versions if version.was_there(begin, end)]
        return "\n".join(lines)

    def _explain_cause(self, judgement: Judgement, cause: Json, concerned: list[Claim]) -> set[Row]:
        said = f"{cause['reason']} {cause['field']}: {cause['message']}"
        if cause["reason"] == "EG102" and judgement.writer == MIRRORING_CONTROLLER:
            return {Row.ALIAS}
        changes: set[Row] = set()
        for claim in concerned:
            try:
                changes |= self._rows(judgement, claim)
            except Unexplained as error:
                raise Unexplained(self.facts(judgement, f"{said}\n{error}", [claim])) from None
        explaining = changes & EXPLAINS.get(cause["reason"], set())
        if not explaining:
            why = f"{said}\nwhat has changed does not explain it: {sorted(changes)}"
            raise Unexplained(self.facts(judgement, why, concerned))
        return explaining | (changes & {Row.MIXED})

    def _rows(self, judgement: Judgement, claim: Claim) -> set[Row]:
        begin, end = judgement.asked, judgement.answered + SLACK
        bases = list(self._bases(judgement, claim))
        if not bases:
            raise Unexplained(f"it was never right: {claim}")
        if any(basis.stood(begin, end) for basis in bases):
            raise Unexplained(f"it is right, and was all the while: {claim}")
        at_one_time = next((basis for basis in bases if not basis.mixed), None)
        changes = set(self._changes(judgement, at_one_time or bases[0], claim))
        return changes if at_one_time else {*changes, Row.MIXED}

    def _bases(self, judgement: Judgement, claim: Claim) -> Iterator[Basis]:
        """All of them, the newest first."""
        services = self._candidates("Service", judgement)
        known = self._pods_by_uid.get(claim.uid, []) if claim.uid else []
        pods = [pod for pod in reversed(known) if _was_there(pod, judgement)]
        if judgement.writer == MIRRORING_CONTROLLER:
            yield from self._mirrored_bases(judgement, claim, services, pods)
            return
        for service, pod in product(services, pods):
            if claim in could_say(judgement.kind, service, pod):
                yield Basis(service=service, pod=pod)

    def _mirrored_bases(
        self, judgement: Judgement, claim: Claim, services: list[Version], pods: list[Version]
    ) -> Iterator[Basis]:
        """Mirrored Endpoints may name Pods, and are then right as long as these are so.

        Of a Service's versions only one without a selector is a reason to mirror.
        """
        holding = [pod for pod in pods if claim.address in ips(pod) and is_live(pod)]
        service = next((each for each in services if is_mirrored(each)), None)
        for mirrored in self._candidates("Endpoints", judgement):
            if claim in could_mirror(mirrored):
                for pod in holding if claim.uid else [None]:
                    yield Basis(service=service, pod=pod, mirrored=mirrored)

    def _candidates(self, kind: str, judgement: Judgement) -> list[Version]:
        namespace = judgement.request["namespace"]
        versions = self._history.versions(kind, namespace, service_name(judgement.written))
        return [version for version in reversed(versions) if _was_there(version, judgement)]

    def _changes(self, judgement: Judgement, basis: Basis, claim: Claim) -> Iterator[Row]:
        """How what the webhook saw differs from what the controller saw."""
        namespace, name = judgement.request["namespace"], service_name(judgement.written)
        services = self._seen(judgement, "Service", namespace, name)
        if basis.mirrored is not None:
            mirrored = self._seen(judgement, "Endpoints", namespace, name)
            yield from mirroring_changes(basis.mirrored, mirrored, services)
        elif basis.service is not None:
            for service in services:
                yield from service_changes(basis.service, service)
        if basis.pod is not None:
            yield from self._pod_changes(judgement, basis.pod, claim)

    def _pod_changes(self, judgement: Judgement, pod: Version, claim: Claim) -> Iterator[Row]:
        namespace, end = judgement.request["namespace"], judgement.answered + SLACK
        for seen in self._seen(judgement, "Pod", namespace, claim.target[2]):
            yield from pod_changes(pod, seen)
        holders = self._pods_by_ip.get(claim.address, [])
        if any(
            holder.uid != claim.uid and is_live(holder) and holder.was_there(judgement.asked, end)
            for holder in holders
        ):
            yield Row.IP_REUSED

    def _seen(
        self, judgement: Judgement, kind: str, namespace: str, name: str
    ) -> list[Version | None]:
        """The versions that there were while the webhook judged; None while there was none."""
        begin, end = judgement.asked, judgement.answered + SLACK
        versions = self._history.versions(kind, namespace, name)
        there: list[Version | None] = [v for v in versions if v.was_there(begin, end)]
        gone = not there or any(v is not None and v.deleted and v.until <= end for v in there)
        return [*there, None] if gone else there


def service_name(written: Json) -> str:
    """The Service whose endpoints these are."""
    metadata: Json = written["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(SERVICE_NAME) if written["kind"] == "EndpointSlice" else metadata["name"]
    return str(name)


def _was_there(version: Version, judgement: Judgement) -> bool:
    return version.was_there(judgement.arrived - WINDOW, judgement.answered + SLACK)


def _concerned(cause: Json, every: list[Claim]) -> list[Claim]:
    """The claims that a cause is about: those of an entry, or of a port, or all.

    Of those at a port, it is about the address that the message names, if it names one.
    """
    path = f"{cause['field']}."
    entries = [claim for claim in every if path.startswith(f"{claim.entry}.")]
    if entries:
        return entries
    at_port = [claim for claim in every if path.startswith(f"{claim.port_path}.")]
    words = cause["message"].replace(": ", " ").split()
    return [claim for claim in at_port if claim.address in words] or at_port or every


def _grouped(
    versions: list[Version], keys: Callable[[Version], Iterable[str]]
) -> dict[str, list[Version]]:
    groups: dict[str, list[Version]] = {}
    for version in versions:
        for key in keys(version):
            groups.setdefault(key, []).append(version)
    return groups
