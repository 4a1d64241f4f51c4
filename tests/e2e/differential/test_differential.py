"""The differential test: the webhook against the real controllers, with nobody trusted.

A storm of events keeps the controllers writing. One webhook, with the default policy, is in force;
another trusts nobody, is asked about every write, at once and again later, and enforces nothing.
What that one refuses must be a race: right a moment ago, and not any more.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.e2e.api import Api, Json
from tests.e2e.audit import Refusal, refusals
from tests.e2e.cluster import (
    CONTROLLERS,
    ENDPOINT_CONTROLLER,
    MIRRORING_CONTROLLER,
    SLICE_CONTROLLER,
    Namespace,
    eventually,
    refuses,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.differential.claims import astray, claims
from tests.e2e.differential.explain import Explainer, Unexplained
from tests.e2e.differential.history import History
from tests.e2e.differential.judgement import Judgement
from tests.e2e.differential.mallory import MALLORY, Mallory
from tests.e2e.differential.pod_events import AddressPool
from tests.e2e.differential.recorder import Recorder
from tests.e2e.differential.report import Report
from tests.e2e.differential.rows import Row
from tests.e2e.differential.storm import SERVICES, Storm, rage_at_once, tally
from tests.e2e.webhook_process import WebhookProcess, configuration, registered

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SEED = int(os.environ.get("E2E_SEED", "1"))
EVENTS = 700
"""In each namespace."""
LATEST = 2.5
"""Seconds by which late judgements are late at the most."""
WRITERS = (ENDPOINT_CONTROLLER, SLICE_CONTROLLER, MIRRORING_CONTROLLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A storm that is over, and everything that was seen of it."""

    judgements: list[Judgement]
    enforced: list[Refusal]
    """What the webhook in force has refused."""
    mallory: Mallory
    explained: dict[int, set[Row]] = field(default_factory=dict)
    """By place in `judgements`: what had changed."""
    unexplained: list[str] = field(default_factory=list)
    unjustified: list[str] = field(default_factory=list)
    """What controllers have written and, by the model, could not have."""


@pytest.fixture(scope="module")
def run(
    plane: ControlPlane,
    admin: Api,
    webhook: WebhookProcess,
    recorder: Recorder,
    history: History,
    summary: list[str],
) -> Run:
    recorder.lateness = lateness()
    namespaces = [Namespace(admin, f"storm-{n}", "default", "recorded") for n in (1, 2)]
    with Mallory.at_work(plane, admin, namespaces, SEED) as mallory:
        first, *_ = let_loose(namespaces, EVENTS, summary, "differential test")
    summary.append(f"  meanwhile, changed copies by a user without trust: {mallory.tally()}")
    first.clear()
    eventually(lambda: admin.get("Namespace", "", first.namespace.name).status == 404, 60)
    recorder.settle()
    history.catch_up()
    names = {namespace.name for namespace in namespaces}
    judgements = [j for j in recorder.judgements() if j.request["namespace"] in names]
    found = Run(judgements=judgements, enforced=refusals(plane, names), mallory=mallory)
    examine(found, Explainer(history))
    summary.extend(reported(found).text())
    return found


def lateness() -> Callable[[Json], float]:
    """Half of what the controllers write is judged once more, up to `LATEST` seconds later."""
    dice = random.Random(SEED)

    def delay(request: Json) -> float:
        ours = request["userInfo"]["username"] in WRITERS and request["operation"] != "DELETE"
        return dice.uniform(0.05, LATEST) if ours and dice.random() < 0.5 else 0.0

    return delay


def let_loose(
    namespaces: list[Namespace], events: int, summary: list[str], title: str
) -> list[Storm]:
    """A storm in each namespace, until all endpoints are again what they should be."""
    addresses = AddressPool(32, 130 * len(namespaces))
    storms = [Storm(namespace, addresses, SEED + n) for n, namespace in enumerate(namespaces)]
    begun = time.monotonic()
    rage_at_once(storms, events)
    took = time.monotonic() - begun
    for storm in storms:
        left = partial(astray, storm.namespace, SERVICES)
        eventually(partial(is_empty, left), 90, why=left)
    whole = time.monotonic() - begun
    happened = sum(sum(storm.events.values()) for storm in storms)
    summary.append(f"{title}: {happened} events (seed {SEED}) in {took:.0f} s,")
    summary.append(f"  all endpoints right again after {whole:.0f} s: {tally(storms)}")
    return storms


def is_empty(found: Callable[[], list[str]]) -> bool:
    return not found()


def examine(run: Run, explainer: Explainer) -> None:
    """Explain each refusal; hold each write against the model of the controllers."""
    for place, judgement in enumerate(run.judgements):
        if judgement.writer not in WRITERS or judgement.request["operation"] == "DELETE":
            continue
        try:
            run.explained[place] = explainer.explain(judgement)
        except Unexplained as error:
            run.unexplained.append(str(error))
        wrong = [c for c in claims(judgement.written) if not explainer.is_justified(judgement, c)]
        if wrong:
            why = f"no version of Service and Pod gives {wrong[0]}"
            run.unjustified.append(explainer.facts(judgement, why, wrong))


def shown(found: list[str]) -> str:
    """The first of them, for a failure's message."""
    return "\n\n".join([f"{len(found)}, such as", *found[:3]])


def reported(run: Run) -> Report:
    report = Report()
    for place, judgement in enumerate(run.judgements):
        report.count(judgement, run.explained.get(place, ()))
    for refusal in run.enforced:
        report.count_enforced(refusal.user, refusal.kind)
    return report


def test_every_refusal_is_a_race(run: Run) -> None:
    refused = {j.writer for j in run.judgements if not j.allowed}
    assert {ENDPOINT_CONTROLLER, SLICE_CONTROLLER} <= refused, "this proves nothing"
    assert refused <= {*WRITERS, MALLORY}
    assert not run.unexplained, shown(run.unexplained)


def test_with_the_default_list_no_trusted_writer_is_refused(run: Run) -> None:
    others = (MIRRORING_CONTROLLER, MALLORY)
    assert [refusal for refusal in run.enforced if refusal.user not in others] == []


def test_no_changed_copy_by_a_user_without_trust_comes_through(run: Run) -> None:
    assert not run.mallory.let_through, shown(run.mallory.let_through)
    assert run.mallory.refused > 50


def test_a_mirror_is_refused_only_if_it_was_refused_by_both(run: Run) -> None:
    """Both judge the mirroring controller; what is refused there is explained above."""
    enforced = [refusal for refusal in run.enforced if refusal.user == MIRRORING_CONTROLLER]
    refused = [j for j in run.judgements if j.writer == MIRRORING_CONTROLLER and not j.allowed]
    assert len(enforced) <= len(refused)


def test_the_webhook_always_has_an_answer(run: Run) -> None:
    assert {judgement.status for judgement in run.judgements} == {200}


def test_every_write_is_one_that_the_model_of_the_controllers_makes(run: Run) -> None:
    assert not run.unjustified, shown(run.unjustified)


def test_it_has_seen_hundreds_of_writes_by_every_writer(run: Run) -> None:
    report = reported(run)
    assert report.total(ENDPOINT_CONTROLLER).writes > 300
    assert report.total(SLICE_CONTROLLER).writes > 300
    assert report.total(MIRRORING_CONTROLLER).writes > 50
    assert report.total(f"{CONTROLLERS}generic-garbage-collector").writes > 10
    assert report.total(f"{CONTROLLERS}namespace-controller").writes > 0


def test_controllers_without_trust_come_through_by_themselves(
    plane: ControlPlane, admin: Api, strict: WebhookProcess, summary: list[str]
) -> None:
    """Refused for real, they try again with what they have learned meanwhile."""
    namespace = Namespace(admin, "storm-strict", "strict")
    given = configuration("strict", strict.url, strict.serving.ca.certificate)
    with registered(admin, given, lambda: refuses(namespace)):
        let_loose([namespace], 300, summary, "nobody trusted, refusals in force")
    users = [r.user for r in refusals(plane, {namespace.name}) if r.user.startswith(CONTROLLERS)]
    counts = Counter(user.removeprefix(CONTROLLERS) for user in users)
    texts = [f"{user} {count}" for user, count in counts.most_common()]
    summary.append(f"  refused, and tried again: {', '.join(texts) or 'nobody'}")
