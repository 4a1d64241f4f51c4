"""One audit of one live cluster: read, judge, look again at what seems wrong, and say what is.

Services, Pods and slices are listed at different moments, and controllers need theirs to follow. So
a finding counts only if it is there in every look, and the looks are far enough apart for
controllers that work. Whatever rests on something that could not be read is not judged, and said.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from time import sleep
from typing import Any, Final

from msgspec import Struct

from webhook.cluster.api import ClusterApi
from webhook.cluster.decoding import Resource
from webhook.cluster.progress import Progress, unseen
from webhook.cluster.reading import ClusterReader, Gap
from webhook.cluster.resources import STORED
from webhook.core.audit import audit, judge_ref, with_findings
from webhook.core.fingerprint import Identity, identity
from webhook.core.inventory import API_SERVER, Inventory
from webhook.core.policy import Policy
from webhook.core.report import Judged, Report, Unjudged
from webhook.core.rules import RULES, kinds_for

LOOKS: Final = 2
"""How often what seems wrong is looked at again."""
SETTLE: Final = 3.0
"""Seconds before each of these looks: what controllers may need to follow a change."""


class Scope(Struct, frozen=True, kw_only=True):
    """What an audit is asked for."""

    rules: frozenset[str]
    """Codes."""
    namespaces: frozenset[str] = frozenset()
    """Empty: all, and what is in none."""
    settle: float = SETTLE
    """Seconds that pass before what seems wrong is looked at again."""

    @property
    def only(self) -> frozenset[str] | None:
        """The namespaces, as `core.audit` wants them."""
        return self.namespaces or None

    def covers(self, finding: Identity) -> bool:
        """Whether such a finding would be found."""
        anywhere = not self.namespaces or finding.namespace in self.namespaces
        return anywhere and finding.rule in self.rules


class Auditor:
    """Audits one cluster."""

    def __init__(
        self,
        api: ClusterApi,
        policy: Policy,
        scope: Scope,
        *,
        progress: Progress = unseen,
        pause: Callable[[float], object] = sleep,
    ) -> None:
        self._policy = policy
        self._scope = scope
        self._pause = pause
        kinds = kinds_for(RULES[code] for code in scope.rules)
        self._resources = tuple(each for each in STORED if each.kind in kinds)
        self._reader = ClusterReader(
            api, namespaces=scope.namespaces, progress=progress, pause=pause
        )

    def run(self) -> Report:
        """Everything that is found, and what could not be judged. Raises nothing of the cluster."""
        reader = self._reader
        reader.read(self._resources)
        sound = _sound(self._scope.rules, reader.gaps)
        objects = tuple(
            audit(reader.inventory, self._policy, namespaces=self._scope.only, rules=sound)
        )
        unconfirmed: tuple[Gap, ...] = ()
        for _ in range(LOOKS):
            suspects = tuple(judged for judged in objects if judged.findings)
            if suspects and not unconfirmed:
                self._pause(self._scope.settle)
                unconfirmed = self._look_again(suspects)
                objects = tuple(self._lasting(objects))
        return Report(
            objects=objects,
            unjudged=(*self._unjudged(sound), *map(_unconfirmed, unconfirmed)),
        )

    def _look_again(self, suspects: Iterable[Judged]) -> tuple[Gap, ...]:
        """Read anew what the findings rest on; what could not be read is returned."""
        kinds, namespaces = rests_on(suspects, self._reader.inventory)
        again = (each for each in self._resources if each.kind in kinds)
        return self._reader.read_again(again, namespaces)

    def _lasting(self, objects: Iterable[Judged]) -> Iterator[Judged]:
        """The objects that are still there, with those of their findings that are."""
        for judged in objects:
            if not judged.findings:
                yield judged
                continue
            now = judge_ref(judged.ref, self._reader.inventory, self._policy)
            if now is not None:
                known = {identity(judged, finding) for finding in judged.findings}
                yield with_findings(now, (f for f in now.findings if identity(now, f) in known))

    def _unjudged(self, sound: Collection[str]) -> Iterator[Unjudged]:
        gaps = self._reader.gaps
        for resource in self._resources:
            gap = gaps.get(resource.kind)
            if gap is not None:
                lost = [c for c in self._scope.rules - set(sound) if _rests(c, resource)]
                rules = f"; rules left out: {', '.join(sorted(lost))}" if lost else ""
                yield Unjudged(cluster="", what=resource.kind, reason=f"{gap}{rules}")


def _sound(codes: Iterable[str], gaps: Collection[str]) -> frozenset[str]:
    """The rules that say what is right although these kinds are not known."""
    return frozenset(code for code in codes if RULES[code].can_do_without(gaps))


def _rests(code: str, resource: Resource[Any]) -> bool:
    return not RULES[code].can_do_without((resource.kind,))


def rests_on(suspects: Iterable[Judged], inventory: Inventory) -> tuple[set[str], set[str]]:
    """What has to be read anew to know whether this is so: kinds, and namespaces."""
    kinds: set[str] = set()
    namespaces: set[str] = set()
    for judged in suspects:
        kinds.add(judged.ref.kind)
        kinds |= kinds_for(finding.rule for finding in judged.findings)
        namespaces.update(_concerned(judged, inventory))
    return kinds, namespaces - {""}


def _concerned(judged: Judged, inventory: Inventory) -> Iterator[str]:
    """The namespaces of the object and of whoever is said to own its addresses."""
    yield judged.ref.namespace
    for address in _addresses(judged, inventory):
        yield from (pod.namespace for pod in inventory.live_pods_at(address))
        yield from (service.namespace for service in inventory.services_at(address))
        if inventory.is_api_server(address):
            yield API_SERVER[0]


def _addresses(judged: Judged, inventory: Inventory) -> Iterator[str]:
    pod = inventory.pod(judged.ref.namespace, judged.ref.name) if judged.ref.kind == "Pod" else None
    if pod is not None:
        yield from pod.ips
    for finding in judged.findings:
        if finding.listed is not None:
            yield from (each.value for each in finding.listed.address.destinations)


def _unconfirmed(gap: Gap) -> Unjudged:
    reason = f"{gap.reason}; findings that rest on it were seen, but could not be confirmed"
    return Unjudged(cluster="", what=f"{gap.kind}, a second look", reason=reason)
