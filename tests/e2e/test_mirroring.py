"""The mirroring controller is not trusted: it republishes what others have written."""

import pytest

from tests.e2e.api import Api, Json
from tests.e2e.audit import Refusal, refusals
from tests.e2e.cluster import (
    MIRRORING_CONTROLLER,
    Namespace,
    NewNamespace,
    endpoints,
    entries,
    eventually,
    knows_foreign,
    pod,
    pod_address,
    refuses,
    service,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import JUDGED_BY, writer

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("webhook")]

DATABASE = ({"name": "db", "port": 5432},)
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"


def by_hand(*subsets: Json, ports: tuple[Json, ...] = DATABASE) -> Json:
    filled = [{"ports": list(ports), **subset} for subset in subsets]
    return {**endpoints("manual"), "subsets": filled}


GOOD = {
    "an address outside": by_hand({"addresses": [{"ip": "198.51.100.7"}]}),
    "several, one not ready": by_hand(
        {
            "addresses": [{"ip": "198.51.100.7"}, {"ip": "198.51.100.8"}],
            "notReadyAddresses": [{"ip": "198.51.100.9"}],
        }
    ),
    "both families": by_hand({"addresses": [{"ip": "198.51.100.7"}, {"ip": "2001:db8::7"}]}),
    "with host and node names": by_hand(
        {"addresses": [{"ip": "198.51.100.7", "hostname": "db-0", "nodeName": "rack-7"}]}
    ),
    "several ports": by_hand(
        {"addresses": [{"ip": "198.51.100.7"}]}, ports=(*DATABASE, {"name": "admin", "port": 8080})
    ),
    "no port": by_hand({"addresses": [{"ip": "198.51.100.7"}]}, ports=()),
    "two subsets": by_hand(
        {"addresses": [{"ip": "198.51.100.7"}]},
        {"addresses": [{"ip": "198.51.100.8"}], "ports": [{"name": "db", "port": 5433}]},
    ),
}


def listed(namespace: Namespace) -> int:
    """How many addresses are published for the Service."""
    return sum(len(entries(each)) for each in namespace.slices("manual"))


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_good_endpoints_are_mirrored(
    plane: ControlPlane, new_namespace: NewNamespace, given: Json
) -> None:
    namespace = new_namespace("default")
    namespace.create(service("manual", ports=DATABASE))
    namespace.create(given)
    eventually(lambda: listed(namespace) == len(entries(given)))
    assert refusals(plane, [namespace.name]) == []


def test_endpoints_of_ones_own_pod_are_mirrored(
    plane: ControlPlane, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace("default")
    own = namespace.run(pod("db-0", labels={"app": "db"}))
    namespace.create(service("manual", ports=DATABASE))
    namespace.create(by_hand({"addresses": [pod_address(own)]}))
    eventually(lambda: listed(namespace) == 1)
    namespace.api.replace(namespace.placed(by_hand({"addresses": [{"ip": "198.51.100.7"}]})))
    eventually(lambda: "198.51.100.7" in str(namespace.slices("manual")))
    assert refusals(plane, [namespace.name]) == []


@pytest.fixture
def bad_from_before(new_namespace: NewNamespace, admin: Api) -> Namespace:
    """Endpoints of a neighbour's Pod, which nobody mirrors as long as there is no Service."""
    namespace = new_namespace()
    neighbour = Namespace(admin, f"{namespace.name}-neighbour")
    foreign = neighbour.run(pod("vault", labels={"app": "vault"}))
    probe = Namespace(admin, f"{namespace.name}-probe", "default")
    eventually(lambda: knows_foreign(probe, foreign))
    namespace.create(by_hand({"addresses": [{"ip": foreign["status"]["podIP"]}]}))
    return namespace


def judge_from_now_on(namespace: Namespace) -> None:
    labels = {f"{JUDGED_BY}-default": "yes"}
    change = {"metadata": {"labels": labels}}
    namespace.api.patch("Namespace", "", namespace.name, change).must()
    eventually(lambda: refuses(namespace))


def test_bad_endpoints_from_before_the_webhook_are_not_mirrored(
    plane: ControlPlane, bad_from_before: Namespace
) -> None:
    judge_from_now_on(bad_from_before)
    bad_from_before.create(service("manual", ports=DATABASE))

    def refused() -> list[Refusal]:
        every = refusals(plane, [bad_from_before.name])
        return [refusal for refusal in every if refusal.user == MIRRORING_CONTROLLER]

    assert all("EG501" in refusal.message for refusal in eventually(refused))
    assert listed(bad_from_before) == 0


@pytest.mark.parametrize(
    ("kind", "key", "value"), [("labels", SKIP_MIRROR, "true"), ("annotations", LEADER, "{}")]
)
def test_nobody_can_let_them_be_mirrored(
    plane: ControlPlane, bad_from_before: Namespace, kind: str, key: str, value: str
) -> None:
    """What keeps the mirroring controller away is content in disguise."""
    bad_from_before.patch("Endpoints", "manual", {"metadata": {kind: {key: value}}})
    bad_from_before.create(service("manual", ports=DATABASE))
    judge_from_now_on(bad_from_before)
    alice = Api(writer(plane, bad_from_before.api, "alice"))
    change = {"metadata": {kind: {key: None}}}
    answer = alice.patch("Endpoints", bad_from_before.name, "manual", change)
    alice.close()
    assert answer.rules == {"EG501"}
    assert listed(bad_from_before) == 0
    untouched = {"metadata": {"annotations": {"note": "harmless"}}}
    bad_from_before.patch("Endpoints", "manual", untouched)
