"""What both judges are asked before they are timed, judged here by the engine itself.

That Gatekeeper gives the same verdicts is checked at the beginning of every `make bench`.
"""

from collections import Counter

import pytest

from tests import builders
from tests.bench import gatekeeper, scene
from tests.bench.corpus import corpus
from tests.bench.scene import Cluster, Json, Write
from webhook.core.engine import judge
from webhook.core.inventory import Inventory


def stored() -> list[Json]:
    """The Pods as an API server keeps them: it gives uids."""
    return [
        {**pod, "metadata": {**pod["metadata"], "uid": f"uid-{number}"}}
        for number, pod in enumerate(scene.pods())
    ]


CLUSTER = Cluster(stored())
INVENTORY: Inventory = builders.state(*scene.nodes(), *scene.services(), *stored())
TIMED = CLUSTER.writes()
WRITES = [*TIMED, *corpus(CLUSTER)]


def allowed(write: Write) -> bool:
    found = judge(builders.subject(write.object), INVENTORY, builders.POLICY)
    return not builders.codes(found, "deny")


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.name)
def test_the_engine_gives_the_expected_verdict(write: Write) -> None:
    assert allowed(write) is write.allowed


def test_every_write_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(w.name for w in WRITES).items() if count > 1] == []


def test_verdicts_and_kinds_are_both_there() -> None:
    """A judge that always gives the same answer would be found out."""
    counted = Counter((write.kind, write.allowed) for write in WRITES)
    assert set(counted) == {(k, a) for k in ("Endpoints", "EndpointSlice") for a in (True, False)}
    assert min(counted.values()) >= 15


def test_what_is_timed_has_the_addresses_that_it_says() -> None:
    assert [(w.name, len(builders.subject(w.object).parts[0].addresses)) for w in TIMED] == [
        (f"{kind} {size} {verdict}", size)
        for kind, size in (*(("Endpoints", n) for n in scene.SIZES), ("EndpointSlice", 100))
        for verdict in ("allowed", "denied")
    ]


def test_a_bad_write_differs_from_its_good_one_in_one_address() -> None:
    for good, bad in zip(TIMED[::2], TIMED[1::2], strict=True):
        parts = [builders.subject(each.object).parts[0].addresses for each in (good, bad)]
        differing = [a for a, b in zip(*parts, strict=True) if a.address != b.address]
        assert len(differing) == 1


def test_the_policy_for_gatekeeper_is_whole() -> None:
    template, sync, constraint = gatekeeper.manifests()
    (target,) = template["spec"]["targets"]
    (code,) = target["code"]
    assert code["source"]["rego"].count("violation contains") == 6
    assert constraint["kind"] == template["spec"]["crd"]["spec"]["names"]["kind"]
    assert [each["kind"] for each in sync["spec"]["gvks"]] == ["Service", "Pod", "Node"]
