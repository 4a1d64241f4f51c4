"""An audit that goes on: judging again what a change touches says what judging everything says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    NAMESPACE,
    POLICY,
    WEB,
    Json,
    cluster_role,
    cluster_role_binding,
    endpoints,
    external,
    group,
    node,
    pod,
    pod_ref,
    policy_rule,
    role,
    role_binding,
    service,
    subset,
    user,
    value_of,
)
from tests.core.controllers import endpoints_for, mirrors_of, slices_for, stored
from tests.strategies import (
    ELSEWHERE,
    IPV4,
    law,
    many_pods,
    rarely,
    services,
    written_endpoints,
)
from webhook.core.audit import audit, judge_ref
from webhook.core.inventory import Inventory
from webhook.core.objects import ObjectRef
from webhook.core.report import Judged
from webhook.core.touched import touched

Findings = dict[ObjectRef, Judged]


class Going:
    """What an audit that goes on has found so far."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.found: Findings = {}

    def change(self, kind: str, namespace: str, name: str, after: Any) -> None:
        before = held(self.inventory, kind).get((namespace, name))
        if after is None:
            self.inventory.remove(kind, namespace, name)
        else:
            self.inventory.apply(kind, after)
        for ref in touched(kind, before, after, self.inventory):
            self.found.pop(ref, None)
            judged = judge_ref(ref, self.inventory, POLICY)
            if judged is not None and (judged.findings or "Endpoint" in ref.kind):
                self.found[ref] = judged


def held(inventory: Inventory, kind: str) -> dict[tuple[str, str], Any]:
    tables: dict[str, Any] = {
        "Service": inventory.services,
        "Pod": inventory.pods,
        "Node": inventory.nodes,
        "Endpoints": inventory.endpoints,
        "EndpointSlice": inventory.endpoint_slices,
        "ClusterRole": inventory.cluster_roles,
        "Role": inventory.roles,
        "ClusterRoleBinding": inventory.cluster_role_bindings,
        "RoleBinding": inventory.role_bindings,
    }
    objects: dict[tuple[str, str], Any] = tables[kind].objects
    return objects


def everything(inventory: Inventory) -> Findings:
    return {judged.ref: judged for judged in audit(inventory, POLICY)}


PODS = tuple(f"web-{number}" for number in range(3))
plain_pods = st.builds(
    pod,
    st.sampled_from(PODS),
    ip=st.sampled_from(IPV4[:3]),
    labels=st.sampled_from([WEB, WEB, {"app": "other"}]),
    node=st.sampled_from(["node-1", "node-1", "node-2"]),
    uid=st.sampled_from([None, None, "another"]),
    ready=st.sampled_from([True, True, False]),
    deleting=rarely,
    namespace=st.sampled_from([NAMESPACE, NAMESPACE, "rival"]),
)
changing_nodes = st.builds(
    node,
    st.sampled_from(["node-1", "node-2"]),
    st.sampled_from(["192.168.0.1", "10.0.0.1", "198.51.100.7"]),
    podCIDRs=st.sampled_from([[], ["10.0.0.0/24"], ["10.0.0.0/16", "fd00::/64"]]),
)
plain_services = st.builds(
    service,
    st.sampled_from(["web", "web", "other"]),
    selector=st.sampled_from([WEB, WEB, {"app": "other"}, None]),
    clusterIP=st.sampled_from(["172.20.0.10", *IPV4[:3]]),
    type=st.sampled_from(["ClusterIP", "ClusterIP", "ExternalName"]),
)
api_servers = st.sampled_from((*IPV4, *ELSEWHERE)).map(
    lambda ip: endpoints(subset(external(ip)), name="kubernetes", namespace="default")
)


meant = st.one_of(
    st.sampled_from(["node-1", "node-2"]).map(lambda name: {"kind": "Node", "name": name}),
    st.just(pod_ref(name="gone", uid="another")),
)
of_no_service = st.builds(
    lambda ip, ref: endpoints(subset(external(ip, targetRef=ref)), name="nobodys"),
    st.sampled_from(["192.168.0.1", "10.0.0.1"]),
    meant,
)


@st.composite
def kept(draw: st.DrawFn) -> Json:
    """One of the objects that controllers would keep for some Service, Pods and Endpoints."""
    owner, pods = draw(plain_services), draw(st.lists(plain_pods, max_size=2))
    owner["spec"].setdefault("selector", WEB)
    written = draw(written_endpoints)
    made = [
        stored(endpoints_for(owner, pods), owner),
        *(stored(each, owner) for each in slices_for(owner, pods)),
        *(stored(each, written) for each in mirrors_of(written)),
    ]
    return draw(st.sampled_from(made))


users = st.sampled_from([user(), group()])
verbs = st.sampled_from([["create"], ["get"], ["*"]])
roles = st.one_of(
    st.builds(
        lambda name, given, labels: cluster_role(name, policy_rule(verbs=given), labels=labels),
        st.sampled_from(["writer", "part"]),
        verbs,
        st.sampled_from([{}, {"aggregate": "yes"}]),
    ),
    st.just(cluster_role("sum", aggregates=[{"matchLabels": {"aggregate": "yes"}}])),
    verbs.map(lambda given: role("writer", policy_rule(verbs=given))),
)
bindings = st.one_of(
    st.builds(cluster_role_binding, st.just("all"), st.sampled_from(["writer", "sum"]), users),
    st.builds(
        lambda kind, who: role_binding("here", "writer", who, kind=kind),
        st.sampled_from(["Role", "ClusterRole"]),
        users,
    ),
)
objects = st.one_of(
    roles,
    bindings,
    plain_services,
    services(),
    plain_pods,
    plain_pods,
    many_pods().filter(bool).map(lambda pods: pods[0]),
    changing_nodes,
    of_no_service,
    api_servers,
    written_endpoints,
    kept(),
    kept(),
)
changes = st.lists(st.tuples(objects, rarely), min_size=1, max_size=12)
START = (node(), service(), pod(PODS[0]), pod(PODS[1], ip=IPV4[1]))


@law
@given(changes)
def test_what_a_change_does_not_touch_has_the_same_findings_as_before(
    steps: list[tuple[Json, bool]],
) -> None:
    going = Going()
    for manifest, gone in (*((each, False) for each in START), *steps):
        kind, metadata = manifest["kind"], manifest["metadata"]
        key = kind, metadata.get("namespace", ""), metadata["name"]
        going.change(*key, value_of(manifest))
        if gone:
            going.change(*key, None)
        assert going.found == everything(going.inventory)
