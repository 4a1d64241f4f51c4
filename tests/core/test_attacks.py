"""What somebody with the right to write endpoints in one namespace might try.

`shop` is the attacker's own namespace, with one Service that selects Pods and one that does not;
`rival` is the victim's. Every attempt has to be denied by the rule that it is an attempt at: that
other rules may deny it as well does not count, because an administrator may turn those off.
"""

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    LEADER,
    SKIP_MIRROR,
    Json,
    address,
    codes,
    container,
    container_port,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    findings,
    manual_service,
    node,
    pod,
    pod_ref,
    port,
    service,
    service_port,
    state,
    subject,
    subset,
)
from tests.core.controllers import endpoints_for, slices_for
from tests.strategies import law, many_pods, services
from webhook.core.engine import judge
from webhook.core.policy import Policy, parse_policy

CLUSTER = (
    service(),
    manual_service("manual", clusterIP="172.20.0.11"),
    pod(),
    pod("cron-1", ip="10.0.0.5", labels={"app": "cron"}),
    pod("ended", ip="10.0.7.9", phase="Succeeded"),
    pod("proxy", ip="192.168.0.1", hostNetwork=True),
    service("vault", namespace="rival", clusterIP="172.20.0.99", externalIPs=["203.0.113.5"]),
    pod("vault-0", namespace="rival", ip="10.0.7.8", ips=["10.0.7.8", "fd00::78"]),
    pod("vault-1", namespace="rival", ip="10.0.7.9"),
    pod("agent", namespace="rival", ip="192.168.0.2", hostNetwork=True, node="node-2"),
    node("node-1", "192.168.0.1", podCIDRs=["10.0.0.0/16"]),
    node("node-2", "192.168.0.2"),
    endpoint_slice(
        external_endpoint("192.0.2.10"),
        name="kubernetes",
        namespace="default",
        of_service="kubernetes",
    ),
)


def manual(*listed: Json, **fields: Any) -> Json:
    return endpoints(subset(*listed), name="manual", **fields)


def manual_slice(*listed: Json, **fields: Any) -> Json:
    return endpoint_slice(*listed, **{"of_service": "manual", **fields})


# --- Where the control plane writes the endpoints

SELECTOR: dict[str, tuple[Json, str]] = {
    "another tenant's Pod": (endpoints(subset(external("10.0.7.8"))), "EG201"),
    "another tenant's Pod, by a slice": (endpoint_slice(external_endpoint("10.0.7.8")), "EG201"),
    "another tenant's Pod that dresses as one's own": (
        endpoints(subset(address(ip="10.0.7.8"))),
        "EG201",
    ),
    "... and gives itself away": (endpoints(subset(address(ip="10.0.7.8"))), "EG304"),
    "a Pod that the selector does not match": (endpoints(subset(external("10.0.0.5"))), "EG201"),
    "a Pod that has ended, whose address a victim has now": (
        endpoints(subset(address(pod("ended", ip="10.0.7.9")))),
        "EG201",
    ),
    "a host outside": (endpoints(subset(external("198.51.100.7"))), "EG201"),
    "a node": (endpoints(subset(external("192.168.0.2"))), "EG201"),
    "another Service": (endpoints(subset(external("172.20.0.99"))), "EG201"),
    "hidden among the addresses that are not ready": (
        endpoints(subset(address(), waiting=[external("10.0.7.8")])),
        "EG201",
    ),
    "hidden in an endpoint that is not ready": (
        endpoint_slice(external_endpoint("10.0.7.8", conditions={"ready": False})),
        "EG201",
    ),
    "hidden in an endpoint that is terminating": (
        endpoint_slice(external_endpoint("10.0.7.8", conditions={"terminating": True})),
        "EG201",
    ),
    "hidden as the second address of an endpoint": (
        endpoint_slice(endpoint(addresses=["10.0.0.1", "10.0.7.8"])),
        "EG201",
    ),
    "hidden in the second subset": (
        endpoints(subset(address()), subset(external("10.0.7.8"))),
        "EG201",
    ),
    "hidden from the mirroring controller": (
        endpoints(subset(external("10.0.7.8")), labels={SKIP_MIRROR: "true"}),
        "EG201",
    ),
    "a lock with addresses": (
        endpoints(subset(external("10.0.7.8")), annotations={LEADER: "{}"}),
        "EG201",
    ),
    "with the controller's own label": (
        endpoint_slice(
            external_endpoint("10.0.7.8"),
            labels={
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        ),
        "EG201",
    ),
    "as if from another cluster": (
        endpoint_slice(
            external_endpoint("10.0.7.8"),
            labels={"multicluster.kubernetes.io/source-cluster": "b"},
        ),
        "EG201",
    ),
    "without a port": (endpoints(subset(external("10.0.7.8"), ports=None)), "EG201"),
    "in leading zeros": (endpoints(subset(address(ip="010.0.7.8"))), "EG201"),
    "in leading zeros, said for itself": (endpoints(subset(address(ip="010.0.0.1"))), "EG509"),
    "as an IPv4-mapped address": (endpoints(subset(address(ip="::ffff:10.0.7.8"))), "EG201"),
    "through NAT64": (
        endpoint_slice(external_endpoint("64:ff9b::a00:708"), address_type="IPv6"),
        "EG201",
    ),
    "a name in the place of an address": (
        endpoint_slice(endpoint(addresses=["db.example.com"]), address_type="FQDN"),
        "EG508",
    ),
    "text in the place of an address": (endpoints(subset(address(ip="vault.rival"))), "EG509"),
    "no targetRef": (endpoints(subset(address(targetRef=None))), "EG301"),
    "a targetRef without anything in it": (endpoints(subset(address(targetRef={}))), "EG305"),
    "a targetRef to another namespace": (
        endpoints(subset(address(targetRef=pod_ref(namespace="rival")))),
        "EG302",
    ),
    "a targetRef to a Pod that is not there": (
        endpoints(subset(address(targetRef=pod_ref(name="web-9")))),
        "EG303",
    ),
    "a targetRef without a name": (
        endpoints(subset(address(targetRef={"kind": "Pod"}))),
        "EG303",
    ),
    "a targetRef to an earlier Pod of that name": (
        endpoints(subset(address(targetRef=pod_ref(uid="earlier")))),
        "EG303",
    ),
    "a targetRef to a Pod that holds another address": (
        endpoints(subset(address(targetRef=pod_ref(pod("cron-1"))))),
        "EG304",
    ),
    "a targetRef to a Pod that has ended": (
        endpoints(subset(address(targetRef=pod_ref(pod("ended"))))),
        "EG304",
    ),
    "a targetRef to a Deployment": (
        endpoints(subset(address(targetRef=pod_ref(kind="Deployment")))),
        "EG305",
    ),
    "a targetRef to a Node": (
        endpoints(subset(address(targetRef={"kind": "Node", "name": "node-1"}))),
        "EG305",
    ),
    "a targetRef to some other API's Pod": (
        endpoints(subset(address(targetRef=pod_ref(apiVersion="example.com/v1")))),
        "EG305",
    ),
    "another port of the Pod": (endpoints(subset(address(), ports=[port(22)])), "EG402"),
    "another port, by a slice": (endpoint_slice(ports=[port(22)]), "EG402"),
    "every port of the Pod": (endpoint_slice(ports=[port(None)]), "EG402"),
    "port 0": (endpoint_slice(ports=[port(0)]), "EG402"),
    "a negative port": (endpoint_slice(ports=[port(-1)]), "EG402"),
    "a port beyond all ports": (endpoint_slice(ports=[port(65616)]), "EG402"),
    "another port beside the right one": (
        endpoints(subset(address()), subset(address(), ports=[port(22)])),
        "EG402",
    ),
    "a port under a name that the Service does not have": (
        endpoints(subset(address(), ports=[port(name="debug")])),
        "EG401",
    ),
    "a port without a name where the Service's has one": (
        endpoints(subset(address(), ports=[port(name=None)])),
        "EG401",
    ),
    "another protocol": (endpoints(subset(address(), ports=[port(protocol="UDP")])), "EG401"),
    "TLS where there is none": (
        endpoints(subset(address(), ports=[port(appProtocol="https")])),
        "EG403",
    ),
    "a peer's hostname": (endpoint_slice(endpoint(hostname="db-0")), "EG205"),
    "another node, to draw its traffic": (endpoint_slice(endpoint(nodeName="node-2")), "EG204"),
    "loopback": (endpoints(subset(external("127.0.0.1"))), "EG505"),
}


@pytest.mark.parametrize(("write", "code"), SELECTOR.values(), ids=SELECTOR)
def test_endpoints_of_a_selector_lead_to_its_pods_only(write: Json, code: str) -> None:
    assert code in codes(findings(write, *CLUSTER), "deny")


def test_a_headless_service_without_ports_has_no_port_to_offer() -> None:
    cluster = service(clusterIP="None", ports=None), pod()
    assert "EG401" in codes(findings(endpoints(), *cluster), "deny")


def test_a_named_port_is_what_the_first_container_says() -> None:
    """A later container, or one that has ended, cannot give the name to another number."""
    twice = pod(
        containers=[container(container_port(8080, "http")), container(container_port(22, "http"))],
        initContainers=[container(container_port(23, "http"))],
    )
    cluster = service(ports=[service_port(80, targetPort="http")]), twice
    for number, denied in ((8080, False), (22, True), (23, True)):
        write = endpoints(subset(address(), ports=[port(number)]))
        assert ("EG402" in codes(findings(write, *cluster), "deny")) is denied


def test_one_s_own_pod_on_the_node_s_network_offers_its_target_port_only() -> None:
    proxy = pod(ip="192.168.0.1", hostNetwork=True)
    kubelet = endpoints(subset(address(proxy), ports=[port(10250)]))
    assert "EG402" in codes(findings(kubelet, service(), proxy, node()), "deny")


def test_a_name_that_the_policy_allows_is_still_no_pod_of_a_selector() -> None:
    """A targetRef that is true does not make it one."""
    policy = parse_policy({"external": {"allowedNames": ["*.example.com"]}})
    write = endpoint_slice(endpoint(addresses=["db.example.com"]), address_type="FQDN")
    found = findings(write, *CLUSTER, policy=policy)
    assert "EG201" in codes(found, "deny")


# --- Where people write them

MANUAL: dict[str, tuple[Json, str]] = {
    "another tenant's Pod": (manual(external("10.0.7.8")), "EG501"),
    "another tenant's Pod, by a slice": (manual_slice(external_endpoint("10.0.7.8")), "EG501"),
    "its second address": (
        manual_slice(external_endpoint("fd00::78"), address_type="IPv6"),
        "EG501",
    ),
    "hidden as the second address of an endpoint": (
        manual_slice(external_endpoint("198.51.100.7", "10.0.7.8")),
        "EG501",
    ),
    "hidden among the addresses that are not ready": (
        endpoints(subset(waiting=[external("10.0.7.8")]), name="manual"),
        "EG501",
    ),
    "hidden from the mirroring controller": (
        manual(external("10.0.7.8"), labels={SKIP_MIRROR: "true"}),
        "EG501",
    ),
    "in a lock": (manual(external("10.0.7.8"), annotations={LEADER: "{}"}), "EG501"),
    "under a targetRef that is true in itself": (
        manual(external("10.0.7.8", targetRef=pod_ref())),
        "EG501",
    ),
    "under the Pod's own targetRef": (
        manual(external("10.0.7.8", targetRef=pod_ref(pod("vault-0", namespace="rival")))),
        "EG501",
    ),
    "... which names another namespace": (
        manual(external("10.0.7.8", targetRef=pod_ref(pod("vault-0", namespace="rival")))),
        "EG302",
    ),
    "under a targetRef to a Node": (
        manual(external("10.0.7.8", targetRef={"kind": "Node", "name": "node-1"})),
        "EG501",
    ),
    "under an ended Pod of one's own that had the address": (
        manual(external("10.0.7.9", targetRef=pod_ref(pod("ended")))),
        "EG501",
    ),
    "in leading zeros": (manual(external("010.000.007.008")), "EG501"),
    "in leading zeros, said for itself": (manual(external("010.000.007.008")), "EG509"),
    "as an IPv4-mapped address": (manual(external("::ffff:10.0.7.8")), "EG501"),
    "as an IPv4-mapped address, in hexadecimal": (manual(external("::FFFF:0A00:0708")), "EG501"),
    "in long IPv6": (manual(external("FD00:0:0:0:0:0:0:78")), "EG501"),
    "through NAT64": (manual(external("64:ff9b::a00:708")), "EG501"),
    "through a NAT64 of one's own": (manual(external("64:ff9b:1::a00:708")), "EG501"),
    "through 6to4": (manual(external("2002:a00:708::1")), "EG501"),
    "through ISATAP": (manual(external("fd00:1::5efe:a00:708")), "EG501"),
    "before there is a Service": (
        endpoints(subset(external("10.0.7.8")), name="later"),
        "EG501",
    ),
    "a slice of no Service": (
        endpoint_slice(external_endpoint("10.0.7.8"), of_service=None),
        "EG501",
    ),
    "a slice of a Service of another namespace's name": (
        endpoint_slice(external_endpoint("10.0.7.8"), of_service="vault"),
        "EG501",
    ),
    "a slice of several clusters": (
        endpoint_slice(
            external_endpoint("10.0.7.8"),
            of_service=None,
            labels={"multicluster.kubernetes.io/service-name": "manual"},
        ),
        "EG501",
    ),
    "without a port": (endpoints(subset(external("10.0.7.8"), ports=None), name="manual"), "EG501"),
    "at every port": (manual_slice(external_endpoint("10.0.7.8"), ports=[port(None)]), "EG501"),
    "a node's kubelet": (
        endpoints(subset(external("192.168.0.2"), ports=[port(10250)]), name="manual"),
        "EG502",
    ),
    "the node of an own Pod on its network": (manual(external("192.168.0.1")), "EG502"),
    "a node, as a Node": (
        manual(external("192.168.0.2", targetRef={"kind": "Node", "name": "node-2"})),
        "EG502",
    ),
    "a node through NAT64": (manual(external("64:ff9b::192.168.0.2")), "EG502"),
    "another tenant's Service": (manual(external("172.20.0.99")), "EG503"),
    "another tenant's external address": (manual(external("203.0.113.5")), "EG503"),
    "another tenant's Service through NAT64": (manual(external("64:ff9b::172.20.0.99")), "EG503"),
    "the API server": (manual(external("192.0.2.10")), "EG504"),
    "the API server through NAT64": (manual(external("64:ff9b::192.0.2.10")), "EG504"),
    "the API server's own Service": (
        endpoints(subset(external()), name="kubernetes", namespace="default"),
        "EG104",
    ),
    "a further slice for the API server": (
        endpoint_slice(
            external_endpoint(), name="other", namespace="default", of_service="kubernetes"
        ),
        "EG104",
    ),
    "the next Pod's address": (manual(external("10.0.9.9")), "EG506"),
    "the next Pod's address through NAT64": (manual(external("64:ff9b::10.0.9.9")), "EG506"),
    "the address of an own Pod that has ended": (
        manual(external("10.0.0.8", targetRef=pod_ref())),
        "EG506",
    ),
    "loopback": (manual(external("127.0.0.1")), "EG505"),
    "loopback, IPv6": (manual_slice(external_endpoint("::1"), address_type="IPv6"), "EG505"),
    "link-local": (manual(external("169.254.1.1")), "EG505"),
    "metadata": (manual(external("169.254.169.254")), "EG505"),
    "metadata of Alibaba Cloud": (manual(external("100.100.100.200")), "EG505"),
    "metadata of AWS": (
        manual_slice(external_endpoint("fd00:ec2::254"), address_type="IPv6"),
        "EG505",
    ),
    "the host service of Azure": (manual(external("168.63.129.16")), "EG505"),
    "metadata of Oracle Cloud": (manual(external("192.0.0.192")), "EG505"),
    "multicast": (manual(external("239.0.0.1")), "EG505"),
    "broadcast": (manual(external("255.255.255.255")), "EG505"),
    "unspecified": (manual(external("0.0.0.0")), "EG505"),
    "loopback, mapped": (manual(external("::ffff:127.0.0.1")), "EG505"),
    "loopback, IPv4-compatible": (manual(external("::127.0.0.1")), "EG505"),
    "metadata through NAT64": (manual(external("64:ff9b::a9fe:a9fe")), "EG505"),
    "metadata through a NAT64 of one's own, long prefix": (
        manual(external("64:ff9b:1:a9fe:a9:fe00::")),
        "EG505",
    ),
    "metadata through 6to4": (manual(external("2002:a9fe:a9fe::")), "EG505"),
    "metadata through Teredo": (
        manual(external("2001:0:4136:e378:8000:63bf:5601:5601")),
        "EG505",
    ),
    "metadata as a name": (
        manual_slice(external_endpoint("169.254.169.254"), address_type="FQDN"),
        "EG505",
    ),
    "a name": (manual_slice(external_endpoint("a.example"), address_type="FQDN"), "EG508"),
    "text that is no address": (manual(external("vault.rival.svc")), "EG509"),
    "an empty text": (manual(external("")), "EG509"),
    "a zone": (manual_slice(external_endpoint("fd00::1%eth0"), address_type="IPv6"), "EG509"),
    "text without end": (manual(external("9" * 100_000)), "EG509"),
    "a targetRef to a Pod that is not there": (
        manual(external("10.0.0.5", targetRef=pod_ref(name="cron-9"))),
        "EG303",
    ),
    "a targetRef to an earlier Pod of that name": (
        manual(external("10.0.0.1", targetRef=pod_ref(uid="earlier"))),
        "EG303",
    ),
}


@pytest.mark.parametrize(("write", "code"), MANUAL.values(), ids=MANUAL)
def test_manual_endpoints_lead_to_nobody_else_s(write: Json, code: str) -> None:
    assert code in codes(findings(write, *CLUSTER), "deny")


ALIASES: dict[str, Json] = {
    "Endpoints of an alias": endpoints(subset(external())),
    "a slice of an alias": endpoint_slice(external_endpoint()),
    "not ready": endpoint_slice(external_endpoint(conditions={"ready": False})),
}


@pytest.mark.parametrize("write", ALIASES.values(), ids=ALIASES)
@pytest.mark.parametrize("selector", [None, {"app": "web"}], ids=["no selector", "selector"])
def test_an_alias_has_no_endpoints(write: Json, selector: dict[str, str] | None) -> None:
    alias = service(type="ExternalName", externalName="a.example", selector=selector, ports=None)
    assert "EG102" in codes(findings(write, alias), "deny")


def test_a_foreign_pod_on_its_node_s_network_is_foreign_where_no_node_is_known() -> None:
    """`kubectl get svc,pods,endpoints -o yaml` gives `check` no Nodes to ask."""
    agent = pod("agent", namespace="rival", ip="192.168.0.2", hostNetwork=True)
    assert codes(findings(manual(external("192.168.0.2")), manual_service("manual"), agent), "deny")


def test_of_two_pods_with_one_address_the_foreign_one_counts() -> None:
    foreign = pod("vault-0", namespace="rival", ip="10.0.7.8")
    cluster = manual_service("manual"), pod(ip="10.0.7.8"), foreign
    assert "EG501" in codes(findings(manual(external("10.0.7.8")), *cluster), "deny")


def test_a_targetref_to_another_namespace_is_not_taken_for_its_namesake_here() -> None:
    """What the namesake holds, or does not, is nothing that the writer spoke of."""
    stranger = pod_ref(namespace="rival", uid="another")
    found = findings(endpoints(subset(address(ip="10.0.0.9", targetRef=stranger))), *CLUSTER)
    assert codes(found, "deny") == {"EG201", "EG302"}


def test_the_address_of_one_s_own_service_is_a_mistake_and_no_attack() -> None:
    """kube-proxy cannot use it, but nobody else is harmed."""
    found = findings(manual(external("172.20.0.10")), *CLUSTER)
    assert (codes(found, "warn"), codes(found, "deny")) == ({"EG503"}, set())


# --- What a policy adds for external addresses

LIMITED = parse_policy(
    {"external": {"allowedCIDRs": ["198.51.100.0/24", "2001:db8::/32"], "allowedPorts": [443]}}
)
FORBIDDING = parse_policy({"external": {"forbiddenCIDRs": ["198.51.100.0/24"]}})
FORBIDDEN_PORTS = parse_policy({"forbiddenPorts": [10250]})
BEYOND: dict[str, tuple[Policy, Json, str]] = {
    "an address that is not allowed": (
        LIMITED,
        endpoints(subset(external("203.0.113.9"), ports=[port(443)]), name="manual"),
        "EG507",
    ),
    "an address that is not allowed, without any port": (
        LIMITED,
        endpoints(subset(external("203.0.113.9"), ports=None), name="manual"),
        "EG507",
    ),
    "an address that is not allowed, in a slice without ports": (
        LIMITED,
        manual_slice(external_endpoint("203.0.113.9"), ports=[]),
        "EG507",
    ),
    "a port that is not allowed": (LIMITED, manual(external("198.51.100.7")), "EG507"),
    "every port": (
        LIMITED,
        manual_slice(external_endpoint("198.51.100.7"), ports=[port(None)]),
        "EG507",
    ),
    "a forbidden address": (FORBIDDING, manual(external("198.51.100.7")), "EG507"),
    "a forbidden address without any port": (
        FORBIDDING,
        endpoints(subset(external("198.51.100.7"), ports=None), name="manual"),
        "EG507",
    ),
    "a forbidden address in leading zeros": (
        FORBIDDING,
        manual(external("198.051.100.007")),
        "EG507",
    ),
    "a forbidden address, mapped": (FORBIDDING, manual(external("::ffff:198.51.100.7")), "EG507"),
    "a forbidden address through NAT64": (
        FORBIDDING,
        manual(external("64:ff9b::198.51.100.7")),
        "EG507",
    ),
    "a forbidden address through 6to4": (
        FORBIDDING,
        manual(external("2002:c633:6407::1")),
        "EG507",
    ),
    "a forbidden port": (
        FORBIDDEN_PORTS,
        endpoints(subset(external(), ports=[port(10250)]), name="manual"),
        "EG404",
    ),
    "every port, and so a forbidden one": (
        FORBIDDEN_PORTS,
        manual_slice(external_endpoint(), ports=[port(None)]),
        "EG404",
    ),
}


@pytest.mark.parametrize(("policy", "write", "code"), BEYOND.values(), ids=BEYOND)
def test_external_endpoints_stay_within_the_policy(policy: Policy, write: Json, code: str) -> None:
    assert code in codes(findings(write, *CLUSTER, policy=policy), "deny")


def test_an_address_is_reported_once_however_many_ports_it_has() -> None:
    ports = [port(443), port(443, name="b", protocol="UDP")]
    write = endpoints(subset(external("203.0.113.9"), ports=ports), name="manual")
    found = [f for f in findings(write, *CLUSTER, policy=LIMITED) if f.rule.code == "EG507"]
    assert len(found) == 1


# --- Harming others by what one owns oneself


def test_nobody_can_block_an_address_by_asking_for_it() -> None:
    """`spec.loadBalancerIP` is a wish that nobody checks; what counts is what the status grants."""
    squatter = service(namespace="rival", loadBalancerIP="198.51.100.7", type="LoadBalancer")
    found = findings(manual(external("198.51.100.7")), manual_service("manual"), squatter)
    assert codes(found, "deny") == set()


# --- One lie, whatever the cluster looks like


def _lies(write: Json) -> list[tuple[str, Json]]:
    """The object, with one field of its first entry made untrue."""
    made: list[tuple[str, Json]] = []
    if write["kind"] == "Endpoints":
        first = write["subsets"][0]
        key = "addresses" if "addresses" in first else "notReadyAddresses"
        entry, rest = first[key][0], first[key][1:]
        entries = [*_untrue(entry, {"ip": "203.0.113.99"})]
        made += [(n, {**write, "subsets": [{**first, key: [e, *rest]}]}) for n, e in entries]
        made += [
            (n, {**write, "subsets": [{**first, "ports": p}]}) for n, p in _untrue_ports(first)
        ]
        return made
    entry, rest = write["endpoints"][0], write["endpoints"][1:]
    entries = [*_untrue(entry, {"addresses": [*entry["addresses"], "203.0.113.99"]})]
    made += [(name, {**write, "endpoints": [lie, *rest]}) for name, lie in entries]
    made += [(name, {**write, "ports": ports}) for name, ports in _untrue_ports(write)]
    return made


def _untrue(entry: Json, elsewhere: Json) -> list[tuple[str, Json]]:
    ref = entry["targetRef"]
    return [
        ("address", {**entry, **elsewhere}),
        ("hostname", {**entry, "hostname": "somebody-else"}),
        ("nodeName", {**entry, "nodeName": "another-node"}),
        ("no targetRef", {key: entry[key] for key in entry if key != "targetRef"}),
        *(
            (key, {**entry, "targetRef": {**ref, key: "another"}})
            for key in ("kind", "namespace", "name", "uid", "apiVersion")
        ),
    ]


def _untrue_ports(part: Json) -> list[tuple[str, list[Json]]]:
    if not part.get("ports"):
        return [("a port out of nothing", [port(31999, name="nothing")])]
    first, *rest = part["ports"]
    lies: tuple[Json, ...] = (
        {"port": 31999},
        {"name": "nothing"},
        {"protocol": "SCTP"},
        {"appProtocol": "another"},
    )
    return [(f"port: {lie}", [{**first, **lie}, *rest]) for lie in lies]


@law
@given(services(), many_pods(), st.data())
def test_one_lie_among_truths_is_denied(owner: Json, pods: list[Json], data: st.DataObject) -> None:
    truths = [endpoints_for(owner, pods), *slices_for(owner, pods)]
    with_content = [write for write in truths if write.get("subsets") or write.get("endpoints")]
    if not with_content:
        return
    name, lie = data.draw(st.sampled_from(_lies(data.draw(st.sampled_from(with_content)))))
    assert codes(findings(lie, owner, *pods), "deny"), name


# --- Size


WRONG = [port(number, name="http") for number in range(1, 1501)]
"""Names may repeat in Endpoints, and addresses, too: both together fit into 3 MiB many times."""
FLOOD = endpoints(subset(*[external("10.0.0.1")] * 1500, ports=WRONG))


def test_many_wrong_ports_at_many_addresses_do_not_multiply() -> None:
    found = findings(FLOOD, *CLUSTER)
    held = {id(f.violation.listed): len(f.violation.listed) for f in found}
    assert "EG402" in codes(found, "deny")
    assert len(found) < 10_000
    assert sum(held.values()) < 100_000


def test_nor_do_they_when_they_were_there_before() -> None:
    old = endpoints(subset(*[external("10.0.0.1")] * 1500, ports=WRONG[:-1]))
    known, before, new = state(*CLUSTER), subject(old), subject(FLOOD)
    begun = time.process_time()
    judge(new, known, Policy(), old=before)
    assert time.process_time() - begun < 0.5


def test_nor_when_every_address_had_ports_of_its_own_beside_the_common_ones() -> None:
    ips = [external(f"198.18.{number // 250}.{number % 250}") for number in range(1000)]
    common = subset(*ips, ports=[port(n + 1, name=f"p{n}") for n in range(1000)])
    own = [subset(ip, ports=[port(n + 1, name=f"u{n}")]) for n, ip in enumerate(ips)]
    old = subject(endpoints(common, *own, name="manual"))
    new = subject(endpoints(common, *own, subset(external("203.0.113.1")), name="manual"))
    known = state(manual_service("manual"))
    begun = time.process_time()
    judge(new, known, Policy(), old=old)
    assert time.process_time() - begun < 0.5


AGAIN = manual_slice(*[external_endpoint(*["192.168.0.9"] * 100)] * 300)
HELD_BY_MANY: dict[str, tuple[Json, ...]] = {
    "Pods of others on their node's network": tuple(
        pod(f"agent-{n}", namespace="rival", ip="192.168.0.9", hostNetwork=True)
        for n in range(1000)
    ),
    "Pods of one's own": tuple(
        pod(f"agent-{n}", ip="192.168.0.9", hostNetwork=True) for n in range(1000)
    ),
    "Services of one's own": tuple(
        manual_service(f"public-{n}", externalIPs=["192.168.0.9"]) for n in range(1000)
    ),
}


@pytest.mark.parametrize("holders", HELD_BY_MANY.values(), ids=HELD_BY_MANY)
def test_an_address_that_many_have_may_be_listed_often(holders: tuple[Json, ...]) -> None:
    known = state(manual_service("manual"), node("node-1", "192.168.0.9"), *holders)
    new = subject(AGAIN)
    begun = time.process_time()
    judge(new, known, Policy())
    assert time.process_time() - begun < 1.5


def test_many_ports_at_many_pods_with_many_names_do_not_multiply() -> None:
    names = [f"n{number}" for number in range(700)]
    pods = [
        pod(
            f"web-{each}",
            ip=f"10.0.{each // 250}.{each % 250}",
            containers=[
                container(*[container_port(each + n, name) for n, name in enumerate(names)])
            ],
        )
        for each in range(100)
    ]
    offered = [service_port(n + 1, name=f"s{n}", targetPort=names[-1]) for n in range(500)]
    known = state(service(ports=offered), *pods)
    ports = [port(7, name=f"s{n}") for n in range(500)]
    new = subject(endpoint_slice(*map(endpoint, pods), ports=ports))
    begun = time.process_time()
    found = judge(new, known, Policy())
    assert time.process_time() - begun < 1
    assert codes(found) == {"EG402"}


def test_nor_does_the_memory_that_it_takes_to_compare_them() -> None:
    """One request must not fill the memory of a webhook that all namespaces share."""
    ips = [external(f"198.18.{number // 250}.{number % 250}") for number in range(600)]
    common = subset(*ips, ports=[port(n + 1, name=f"p{n}") for n in range(600)])
    own = [subset(ip, ports=[port(n + 1, name=f"u{n}")]) for n, ip in enumerate(ips)]
    old = subject(endpoints(common, *own, name="manual"))
    new = subject(endpoints(common, *own, subset(external("203.0.113.1")), name="manual"))
    known = state(manual_service("manual"))
    tracemalloc.start()
    try:
        judge(new, known, Policy(), old=old)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
