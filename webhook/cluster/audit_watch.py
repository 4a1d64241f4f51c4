"""An audit that goes on: informers tell what changes, and only what that touches is judged again.

A finding is told after it has been there for a while and what it rests on was read anew, as in an
audit that runs once; what is gone is told at once. Everything happens in the thread that calls
`turn`; others may ask for `report`, `conditions` and `numbers`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any

from msgspec import Struct

from webhook.cluster.api import ClusterApi
from webhook.cluster.auditor import Scope, rests_on
from webhook.cluster.changes import Changed, Changes
from webhook.cluster.decoding import Resource
from webhook.cluster.informer import Informer, InformerSet
from webhook.cluster.listwatch import DEFAULT_PACE, Pace
from webhook.cluster.live import conditions_of
from webhook.cluster.reading import ClusterReader
from webhook.cluster.resources import STORED
from webhook.cluster.state import Condition
from webhook.core.audit import audit, judge_ref, with_findings
from webhook.core.decision import Finding
from webhook.core.fingerprint import Identity, identity
from webhook.core.inventory import Inventory
from webhook.core.objects import ObjectRef
from webhook.core.policy import Policy
from webhook.core.report import Judged, Report
from webhook.core.rule import Action
from webhook.core.rules import RULES, kinds_for
from webhook.core.touched import touched


class News(Struct, frozen=True, kw_only=True):
    """A finding that is new, or resolved."""

    judged: Judged
    finding: Finding
    resolved: bool


class Numbers(Struct, frozen=True, kw_only=True):
    """How it is going."""

    findings: Mapping[tuple[str, Action], int]
    """By rule code and action."""
    suspects: int
    """Findings that are not confirmed yet."""
    objects_judged: int
    """In all, each as often as it was judged."""
    full_runs: int
    """How often everything was judged: at the start, and when the policy changed."""
    last_run: float
    """A value of `time.monotonic()`; negative infinity before the first."""
    seconds: float
    """What the last turn with something to judge took."""


class AuditWatch:
    """The audit of one cluster, kept current."""

    def __init__(
        self,
        api: ClusterApi,
        policies: Callable[[], Policy],
        scope: Scope,
        *,
        known: frozenset[Identity] = frozenset(),
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        """`policies` gives the policy in force. What is `known` is never told."""
        self._api = api
        self._policies = policies
        self._scope = scope
        self._known = known
        self._pace = pace
        self._resources: tuple[Resource[Any], ...] = ()
        self._changes = Changes()
        self.informers = InformerSet(())
        self._read_for: Policy | None = None
        self._policy: Policy | None = None
        self._shown: dict[ObjectRef, Judged] = {}
        self._suspects: dict[ObjectRef, dict[Identity, float]] = {}
        self._counts: Counter[str] = Counter()
        self._last_run = float("-inf")
        self._seconds = 0.0

    @property
    def _inventory(self) -> Inventory:
        return self._changes.inventory

    def start(self) -> None:
        """Begin to read."""
        self._read(self._policies())

    def stop(self) -> None:
        """End; what was found stays."""
        self.informers.stop()

    @property
    def settled(self) -> bool:
        """Everything was judged, and no finding waits to be confirmed."""
        return self._policy is not None and not self._suspects

    def report(self) -> Report:
        """What is wrong now: the objects with findings."""
        objects = sorted(self._shown.copy().values(), key=lambda judged: judged.ref)
        return Report(objects=tuple(objects))

    def conditions(self) -> tuple[Condition, ...]:
        """Ready once everything was judged once."""
        done = self._policy is not None
        text = "everything was judged" if done else "waits for the informers"
        own = Condition(part="audit", ready=done, text=text)
        return (own, *conditions_of(self.informers))

    def numbers(self) -> Numbers:
        """For metrics."""
        shown, suspects = self._shown.copy(), self._suspects.copy()
        return Numbers(
            findings=Counter(
                (f.rule.code, f.action) for judged in shown.values() for f in judged.findings
            ),
            suspects=sum(map(len, suspects.values())),
            objects_judged=self._counts["judged"],
            full_runs=self._counts["full"],
            last_run=self._last_run,
            seconds=self._seconds,
        )

    def turn(self) -> tuple[News, ...]:
        """Judge what has changed and what is due; gives what is new or resolved."""
        policy = self._policy_to_judge_by()
        if policy is None:
            return ()
        began = monotonic()
        with self._changes.still():
            current = tuple(self._judged(policy, began))
        if not current:
            return ()
        news = [each for ref, judged in current for each in self._compare(ref, judged, began)]
        news += self._confirmed(began)
        self._last_run = monotonic()
        self._seconds = self._last_run - began
        return tuple(news)

    def _policy_to_judge_by(self) -> Policy | None:
        """The policy in force, or the one before it until what the new one asks for was read."""
        policy = self._policies()
        if policy is not self._read_for:
            self._read(policy)
        return policy if self.informers.synced else self._policy

    def _read(self, policy: Policy) -> None:
        """Begin to read what its rules rest on. A rule that is off everywhere costs no reading."""
        kinds = kinds_for(RULES[code] for code in self._scope.rules & policy.rules_in_force())
        for resource in STORED:
            if resource.kind in kinds and resource not in self._resources:
                self._resources = (*self._resources, resource)
                self.informers.add(Informer(self._api, resource, self._changes, pace=self._pace))
        self._read_for = policy

    def _judged(self, policy: Policy, now: float) -> Iterator[tuple[ObjectRef, Judged | None]]:
        """What is to be looked at, as it is now; None where there is nothing any more."""
        changed = self._changes.take()
        if policy is not self._policy:
            self._policy = policy
            self._counts["full"] += 1
            yield from self._everything(policy)
            return
        for ref in {*self._touched(changed), *self._due(now)}:
            if self._scope.only is None or ref.namespace in self._scope.only:
                self._counts["judged"] += 1
                judged = judge_ref(ref, self._inventory, policy)
                yield ref, None if judged is None else self._of_interest(judged)

    def _everything(self, policy: Policy) -> Iterator[tuple[ObjectRef, Judged | None]]:
        gone = dict.fromkeys((*self._shown, *self._suspects))
        for judged in audit(self._inventory, policy, namespaces=self._scope.only):
            self._counts["judged"] += 1
            gone.pop(judged.ref, None)
            yield judged.ref, self._of_interest(judged)
        yield from ((ref, None) for ref in gone)

    def _touched(self, changed: Changed) -> Iterator[ObjectRef]:
        for (kind, _), (before, after) in changed.items():
            yield from touched(kind, before, after, self._inventory)

    def _due(self, now: float) -> Iterator[ObjectRef]:
        return (ref for ref in tuple(self._suspects) if self._lasting(ref, now))

    def _lasting(self, ref: ObjectRef, now: float) -> set[Identity]:
        """The suspicions that have lasted long enough."""
        since = self._suspects.get(ref, {})
        return {each for each, first in since.items() if now - first >= self._scope.settle}

    def _of_interest(self, judged: Judged) -> Judged:
        return with_findings(
            judged,
            (
                finding
                for finding in judged.findings
                if finding.rule.code in self._scope.rules
                and identity(judged, finding) not in self._known
            ),
        )

    def _compare(self, ref: ObjectRef, judged: Judged | None, now: float) -> Iterator[News]:
        """Tell what is resolved, and begin to suspect what is new."""
        found = {} if judged is None else _by_identity(judged)
        shown = self._shown.get(ref)
        told = {} if shown is None else _by_identity(shown)
        if shown is not None:
            for each, finding in told.items():
                if each not in found:
                    yield News(judged=shown, finding=finding, resolved=True)
            self._show(judged or shown, ref, (f for each, f in found.items() if each in told))
        since = self._suspects.get(ref, {})
        waiting = {each: since.get(each, now) for each in found if each not in told}
        if waiting:
            self._suspects[ref] = waiting
        else:
            self._suspects.pop(ref, None)

    def _show(self, judged: Judged, ref: ObjectRef, findings: Iterable[Finding]) -> None:
        held = with_findings(judged, findings)
        if held.findings:
            self._shown[ref] = held
        else:
            self._shown.pop(ref, None)

    def _confirmed(self, now: float) -> Iterator[News]:
        """Tell those suspicions that have lasted, if what they rest on, read anew, says the same.

        What cannot be read anew stays a suspicion.
        """
        due = {ref: self._lasting(ref, now) for ref in self._due(now)}
        if not due or self._policy is None:
            return
        fresh = self._read_anew(due)
        if fresh is None:
            # Not at once again: a server that refuses or is away need not be asked twice a second.
            self._suspects.update({ref: dict.fromkeys(self._suspects[ref], now) for ref in due})
            return
        for ref, lasting in due.items():
            self._no_longer_suspect(ref, lasting)
            judged = judge_ref(ref, fresh, self._policy)
            if judged is not None:
                found = _by_identity(self._of_interest(judged))
                yield from self._tell(ref, judged, {e: f for e, f in found.items() if e in lasting})

    def _no_longer_suspect(self, ref: ObjectRef, settled: set[Identity]) -> None:
        left = {each: at for each, at in self._suspects.pop(ref).items() if each not in settled}
        if left:
            self._suspects[ref] = left

    def _tell(
        self, ref: ObjectRef, judged: Judged, new: Mapping[Identity, Finding]
    ) -> Iterator[News]:
        told = self._shown[ref].findings if ref in self._shown else ()
        self._show(judged, ref, (*told, *new.values()))
        for finding in new.values():
            yield News(judged=judged, finding=finding, resolved=False)

    def _read_anew(self, suspects: Iterable[ObjectRef]) -> Inventory | None:
        assert self._policy is not None  # noqa: S101 - there are no suspects before
        with self._changes.still() as known:
            judged = (judge_ref(ref, known, self._policy) for ref in suspects)
            kinds, namespaces = rests_on((each for each in judged if each is not None), known)
        reader = ClusterReader(self._api, background=self._inventory)
        failed = reader.read_again((r for r in self._resources if r.kind in kinds), namespaces)
        return None if failed else reader.inventory


def _by_identity(judged: Judged) -> dict[Identity, Finding]:
    return {identity(judged, finding): finding for finding in judged.findings}
