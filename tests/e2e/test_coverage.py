"""Every bypass and every pattern, by ordinary users, at a real API server.

The tables are those of `tests/coverage`. Their scene is put into this cluster once; what an attempt
adds to it is there for that attempt only. Each policy that a table names has a webhook of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.coverage.real import PROFILES_POLICY, Scene
from tests.coverage.table import (
    BYPASSES,
    PATTERNS,
    SCENE,
    TENANT,
    VICTIM,
    Attempt,
    attempts,
    mirrors,
    policy_text,
)
from tests.e2e.api import Answer, Api, Json, identity, path
from tests.e2e.cluster import MIRRORING_CONTROLLER, Namespace, entries, eventually
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import (
    WebhookProcess,
    configuration,
    registered,
    webhook_kubeconfig,
    writer,
)

pytestmark = pytest.mark.e2e

TRIED, WRITTEN = attempts(BYPASSES), attempts(PATTERNS)
FOREIGN = TRIED["B1 a slice that names the Service"]


@pytest.fixture(scope="module")
def scene(plane: ControlPlane, admin: Api) -> Iterator[Scene]:
    Namespace(admin, TENANT, "coverage")
    Namespace(admin, VICTIM, "coverage")
    everything = plane.kubeconfig_for("system:kube-controller-manager", ("system:masters",))
    made = Scene(plane=plane, admin=admin, trusted=Api(everything))
    with ExitStack() as stack:
        for manifest in SCENE:
            # Where the API server is, the API server says itself.
            if manifest["metadata"].get("namespace") != "default":
                stack.enter_context(made.held(manifest))
        yield made
    made.close()


@contextmanager
def judged_under(scene: Scene, policy: str, probes: dict[str, set[str]]) -> Iterator[None]:
    """A webhook with this policy, in force once it says of these attempts what it should."""

    def in_force() -> bool:
        tables = TRIED | WRITTEN
        return all(
            scene.write(tables[name], dry_run=True).rules == rules for name, rules in probes.items()
        )

    kubeconfig = webhook_kubeconfig(scene.plane, scene.admin)
    with WebhookProcess.running(kubeconfig, policy=policy) as process:
        given = configuration("coverage", process.url, process.serving.ca.certificate)
        with registered(scene.admin, given, in_force):
            yield


JUDGES: dict[str, tuple[str, dict[str, set[str]]]] = {
    "": ("", {"B1 a slice that names the Service": {"EG501"}, "P2 slices": {"EG502"}}),
    "strict": (policy_text("strict"), {"B15 a forbidden port": {"EG404"}}),
    "profiles": (
        PROFILES_POLICY,
        {"B1 a slice that names the Service": {"EG501"}, "P2 slices": set()},
    ),
}


@pytest.fixture(scope="module")
def judge(request: pytest.FixtureRequest, scene: Scene) -> Iterator[None]:
    """Whoever judges the writes of the tests that share it."""
    policy, probes = JUDGES[request.param]
    with judged_under(scene, policy, probes):
        yield


def judged_by(policy: str) -> pytest.MarkDecorator:
    """One webhook for all tests with the same one."""
    return pytest.mark.parametrize("judge", [policy], indirect=True, scope="module")


def table(chosen: dict[str, Attempt]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("attempt", chosen.values(), ids=chosen)


def bypasses(policy: str = "", *, refused: bool, by_api_server: bool = False) -> dict[str, Attempt]:
    """The attempts of users under a policy that end like this.

    What the mirroring controller does it does itself, in test_mirroring.py.
    """
    wanted = (policy, refused, by_api_server)
    return {
        name: each
        for name, each in TRIED.items()
        if each.user != MIRRORING_CONTROLLER
        and (each.policy, bool(each.denied), each.refused_by_api_server) == wanted
    }


def refused(scene: Scene, attempt: Attempt) -> None:
    with scene.set_up(attempt):
        # What is allowed from memory is not read anew, and memory may be a moment behind.
        eventually(lambda: scene.write(attempt, dry_run=True).rules == set(attempt.denied))
        answer = scene.write(attempt)
        assert answer.status in (403, 422), answer.message
        assert answer.rules == set(attempt.denied), answer.message


@judged_by("")
@table(bypasses(refused=True))
@pytest.mark.usefixtures("judge")
def test_a_bypass_is_refused(scene: Scene, attempt: Attempt) -> None:
    refused(scene, attempt)


@judged_by("strict")
@table(bypasses("strict", refused=True))
@pytest.mark.usefixtures("judge")
def test_a_bypass_is_refused_by_a_stricter_policy(scene: Scene, attempt: Attempt) -> None:
    refused(scene, attempt)


@judged_by("")
@table(bypasses(refused=True, by_api_server=True))
@pytest.mark.usefixtures("judge")
def test_some_the_api_server_refuses_by_itself(scene: Scene, attempt: Attempt) -> None:
    """It does so before it asks a webhook, so no rule is named."""
    subject = scene.real(attempt.subject)
    answer = scene.user(attempt.user).create(subject, dry_run=True)
    assert (answer.status, answer.rules & set(attempt.denied)) == (422, set()), answer.message


@judged_by("")
@table(bypasses(refused=False))
@pytest.mark.usefixtures("judge")
def test_what_is_no_bypass_is_accepted(scene: Scene, attempt: Attempt) -> None:
    with scene.set_up(attempt):
        answer = scene.write(attempt)
        assert answer.ok, answer.message
        scene.remove(answer)


# --- API servers before 1.36


@pytest.fixture(scope="module")
def lenient() -> Iterator[Api]:
    """An ordinary user's way to an API server that takes ambiguous addresses, and its webhook."""
    with ControlPlane.start(
        feature_gates={"StrictIPCIDRValidation": False}, controllers=()
    ) as older:
        admin = Api(older.kubeconfig())
        namespace = Namespace(admin, TENANT, "coverage")
        mallory = Api(writer(older, admin, "mallory"))

        def in_force() -> bool:
            probe = namespace.placed(AMBIGUOUS["B11 a foreign address, padded"].subject)
            return bool(mallory.create(probe, dry_run=True).rules)

        with WebhookProcess.running(webhook_kubeconfig(older, admin)) as process:
            given = configuration("coverage", process.url, process.serving.ca.certificate)
            with registered(admin, given, in_force):
                yield mallory
        mallory.close()
        admin.close()


AMBIGUOUS = {
    name: each for name, each in TRIED.items() if "EG509" in each.denied and "zone" not in each.name
}


@table(AMBIGUOUS)
def test_what_later_api_servers_refuse_is_refused_with_earlier_ones(
    lenient: Api, attempt: Attempt
) -> None:
    answer = lenient.create(attempt.subject)
    assert (answer.status, answer.rules) == (422, {"EG509"}), answer.message


# --- Other verbs

GOOD = {**FOREIGN.subject, "endpoints": [{"addresses": ["198.51.100.7"]}]}
ENDPOINTS = TRIED["B6 Endpoints"].subject
CHANGE = {"endpoints": FOREIGN.subject["endpoints"]}
JSON_PATCH = [{"op": "replace", "path": "/endpoints", "value": CHANGE["endpoints"]}]


def patched(api: Api, change: Any, kind: str) -> Answer:
    where = path(*identity(GOOD))
    return api.call("PATCH", where, change, content_type=f"application/{kind}-patch+json")


APPLY = {"fieldManager": "mallory", "force": "true"}


def applied(api: Api, given: Json) -> Answer:
    """By server-side apply."""
    kind, where = "application/apply-patch+yaml", path(*identity(given))
    return api.call("PATCH", where, given, content_type=kind, query=APPLY)


VERBS: dict[str, Callable[[Api], Answer]] = {
    "POST": lambda api: api.create({**FOREIGN.subject, "metadata": _named("posted")}),
    "POST as a dry run": lambda api: api.create(
        {**FOREIGN.subject, "metadata": _named("posted")}, dry_run=True
    ),
    "PUT of what is not there": lambda api: api.replace(ENDPOINTS),
    "PUT of what is there": lambda api: api.replace({**GOOD, **CHANGE}),
    "apply of what is not there": lambda api: applied(api, ENDPOINTS),
    "apply to what is there": lambda api: applied(api, {**GOOD, **CHANGE}),
    "merge patch": lambda api: patched(api, CHANGE, "merge"),
    "strategic merge patch": lambda api: patched(api, CHANGE, "strategic-merge"),
    "JSON patch": lambda api: patched(api, JSON_PATCH, "json"),
}


def _named(name: str) -> Json:
    return {**FOREIGN.subject["metadata"], "name": name}


@judged_by("")
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("judge")
def test_every_verb_is_judged(scene: Scene, verb: str) -> None:
    with scene.held(GOOD):
        answer = VERBS[verb](scene.user("mallory"))
        assert (answer.status, answer.rules) == (403, {"EG501"}), answer.message


# --- Patterns


@judged_by("profiles")
@table(WRITTEN)
@pytest.mark.usefixtures("judge")
def test_a_pattern_is_accepted(scene: Scene, attempt: Attempt) -> None:
    """At once: the webhook may be behind, but then it reads anew."""
    with scene.set_up(attempt):
        answer = scene.write(attempt)
        assert answer.ok, answer.message
        scene.remove(answer)


def addresses(slices: list[Json]) -> set[str]:
    return {ip for each in slices for entry in entries(each) for ip in entry["addresses"]}


@judged_by("profiles")
@table({name: each for name, each in WRITTEN.items() if mirrors(each)})
@pytest.mark.usefixtures("judge")
def test_a_pattern_of_endpoints_reaches_the_slices_that_proxies_read(
    scene: Scene, attempt: Attempt
) -> None:
    with scene.set_up(attempt):
        answer = scene.write(attempt)
        try:
            _, namespace, name = identity(answer.must())
            selector = f"kubernetes.io/service-name={name}"
            wanted = {
                ip for each in mirrors(attempt) for e in each["endpoints"] for ip in e["addresses"]
            }

            def mirrored() -> bool:
                slices = scene.admin.items("EndpointSlice", namespace, labelSelector=selector)
                found = {ip for each in slices for e in entries(each) for ip in e["addresses"]}
                return found == wanted

            eventually(mirrored, 5)
        finally:
            scene.remove(answer)


@judged_by("")
@table({name: each for name, each in WRITTEN.items() if each.profile})
@pytest.mark.usefixtures("judge")
def test_a_pattern_that_needs_a_profile_is_refused_without(scene: Scene, attempt: Attempt) -> None:
    with scene.set_up(attempt):
        eventually(lambda: scene.write(attempt, dry_run=True).rules == set(attempt.denied))
