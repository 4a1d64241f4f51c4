"""Kubernetes objects for tests: minimal, valid, plain JSON-like data, and tweaked by keyword.

A Service `web` in namespace `shop` selects Pods labelled `app: web`; whatever a test does not say
is as the API server would have it. Keywords that a builder does not name itself go into `spec`, in
the API's own spelling: `service(clusterIP="None")`, `pod(subdomain="web")`. `state` makes the
cluster that the objects describe, `subject` the value that is judged, `review` what arrives.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webhook.cluster.decoding import Resource
from webhook.cluster.resources import STORED
from webhook.core.decision import Finding
from webhook.core.engine import judge
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest, Endpoints, EndpointSlice, convert
from webhook.core.objects.request import Operation
from webhook.core.policy import Policy

Json = dict[str, Any]

NAMESPACE = "shop"
WEB = {"app": "web"}
SERVICE_NAME = "kubernetes.io/service-name"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
POLICY = Policy()
_KINDS: Mapping[str, Resource[Any]] = {each.kind: each for each in STORED}


def metadata(name: str, namespace: str = NAMESPACE, **fields: Any) -> Json:
    return given({"name": name, "namespace": namespace, **fields})


def given(fields: Mapping[str, Any]) -> Json:
    """Without what is None: the API leaves such fields out."""
    return {key: value for key, value in fields.items() if value is not None}


def service_port(port: int = 80, *, name: str = "http", **fields: Any) -> Json:
    return given({"name": name, "port": port, "protocol": "TCP", "targetPort": port, **fields})


def service(
    name: str = "web",
    *,
    namespace: str = NAMESPACE,
    selector: Mapping[str, str] | None = WEB,
    ports: Sequence[Json] | None = (service_port(),),
    status: Json | None = None,
    **spec: Any,
) -> Json:
    defaults = {"type": "ClusterIP", "clusterIP": "172.20.0.10", "selector": selector}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace, uid=f"uid-of-service-{name}"),
        "spec": given({**defaults, "ports": ports and [dict(each) for each in ports], **spec}),
        "status": status or {"loadBalancer": {}},
    }


def manual_service(name: str = "web", **fields: Any) -> Json:
    """A Service whose endpoints people write."""
    return service(name, selector=None, **fields)


def headless(**fields: Any) -> Json:
    return {"clusterIP": "None", **fields}


def container(*ports: Json, **fields: Any) -> Json:
    return {"name": "main", "image": "example", "ports": list(ports), **fields}


def container_port(number: int, name: str | None = None, protocol: str = "TCP") -> Json:
    return given({"containerPort": number, "name": name, "protocol": protocol})


def pod(
    name: str = "web-1",
    *,
    namespace: str = NAMESPACE,
    ip: str = "10.0.0.1",
    ips: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = WEB,
    uid: str | None = None,
    node: str = "node-1",
    ready: bool = True,
    deleting: bool = False,
    phase: str = "Running",
    **spec: Any,
) -> Json:
    listed = [ip] if ips is None else list(ips)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            name,
            namespace,
            uid=uid or f"uid-of-{namespace}-{name}",
            labels=labels,
            deletionTimestamp="2026-11-23T12:00:00Z" if deleting else None,
        ),
        "spec": {"nodeName": node, "containers": [container()], **spec},
        "status": {
            "phase": phase,
            "podIP": listed[0] if listed else "",
            "podIPs": [{"ip": each} for each in listed],
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": str(ready)},
            ],
        },
    }


def node(name: str = "node-1", *ips: str, zone: str = "", **spec: Any) -> Json:
    addresses = [{"type": "InternalIP", "address": ip} for ip in ips or ("192.168.0.1",)]
    labels = {"topology.kubernetes.io/zone": zone} if zone else None
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": given({"name": name, "uid": f"uid-of-{name}", "labels": labels}),
        "spec": spec,
        "status": {"addresses": [*addresses, {"type": "Hostname", "address": name}]},
    }


def pod_ref(of: Json | None = None, **fields: Any) -> Json:
    """The targetRef that the control plane gives a Pod."""
    its = (of or pod())["metadata"]
    keys = {"namespace": its["namespace"], "name": its["name"], "uid": its["uid"]}
    return given({"kind": "Pod", **keys, **fields})


def address(of: Json | None = None, **fields: Any) -> Json:
    """An entry of a subset that agrees with its Pod; a field given as None is left out."""
    its = of or pod()
    return given(
        {
            "ip": its["status"]["podIP"],
            "nodeName": its["spec"]["nodeName"],
            "targetRef": pod_ref(its),
            **fields,
        }
    )


def external(ip: str = "198.51.100.7", **fields: Any) -> Json:
    """An entry of a subset that is of no Pod."""
    return given({"ip": ip, **fields})


def port(number: int | None = 80, *, name: str | None = "http", **fields: Any) -> Json:
    return given({"name": name, "port": number, "protocol": "TCP", **fields})


def subset(
    *addresses: Json,
    ports: Sequence[Json] | None = (port(),),
    waiting: Sequence[Json] | None = None,
) -> Json:
    ready = list(addresses) or None
    lists = {"addresses": ready, "notReadyAddresses": waiting and list(waiting)}
    return given({**lists, "ports": ports and [dict(each) for each in ports]})


def endpoints(*subsets: Json, name: str = "web", namespace: str = NAMESPACE, **fields: Any) -> Json:
    """Without subsets: those of the one Pod that `pod()` is."""
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": metadata(name, namespace, **fields),
        "subsets": list(subsets) or [subset(address())],
    }


def empty_endpoints(**fields: Any) -> Json:
    return {**endpoints(**fields), "subsets": None}


def endpoint(of: Json | None = None, **fields: Any) -> Json:
    """An endpoint of a slice that agrees with its Pod; a field given as None is left out."""
    its = of or pod()
    return given(
        {
            "addresses": [its["status"]["podIP"]],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": its["spec"]["nodeName"],
            "targetRef": pod_ref(its),
            **fields,
        }
    )


def external_endpoint(*ips: str, **fields: Any) -> Json:
    """An endpoint of a slice that is of no Pod."""
    return given({"addresses": list(ips) or ["198.51.100.7"], **fields})


def endpoint_slice(
    *listed: Json,
    name: str = "web-abcde",
    namespace: str = NAMESPACE,
    of_service: str | None = "web",
    labels: Mapping[str, str] | None = None,
    address_type: str = "IPv4",
    ports: Sequence[Json] | None = (port(),),
    **fields: Any,
) -> Json:
    """Without endpoints: that of the one Pod that `pod()` is."""
    owner = {} if of_service is None else {SERVICE_NAME: of_service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata(name, namespace, labels={**owner, **(labels or {})}, **fields),
        "addressType": address_type,
        "endpoints": list(listed) or [endpoint()],
        "ports": None if ports is None else [dict(each) for each in ports],
    }


def empty_slice(**fields: Any) -> Json:
    """What the control plane keeps where it has nothing to list; null as protobuf gives it."""
    return {**endpoint_slice(**fields), "endpoints": None, "ports": None}


RBAC = "rbac.authorization.k8s.io"
WRITE = ("create", "update", "patch")


def policy_rule(*resources: str, verbs: Sequence[str] = WRITE, **fields: Any) -> Json:
    """A rule of a role; on endpoints unless told otherwise."""
    listed = resources or ("endpoints",)
    groups = ["discovery.k8s.io" if listed == ("endpointslices",) else ""]
    return {"apiGroups": groups, "resources": list(listed), "verbs": list(verbs), **fields}


EVERYTHING = policy_rule("*", verbs=("*",), apiGroups=["*"])


def cluster_role(
    name: str,
    *rules: Json,
    labels: Mapping[str, str] | None = None,
    aggregates: Sequence[Json] = (),
) -> Json:
    """`aggregates` are label selectors of other ClusterRoles."""
    made = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": given({"name": name, "labels": labels}),
        "rules": list(rules) or None,
    }
    return {**made, "aggregationRule": {"clusterRoleSelectors": aggregates}} if aggregates else made


def role(name: str, *rules: Json, namespace: str = NAMESPACE) -> Json:
    return {**cluster_role(name, *rules), "kind": "Role", "metadata": metadata(name, namespace)}


def cluster_role_binding(name: str, of: str, *subjects: Json) -> Json:
    """Gives the ClusterRole `of` to the subjects, everywhere."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": of},
        "subjects": list(subjects) or None,
    }


def role_binding(
    name: str, of: str, *subjects: Json, namespace: str = NAMESPACE, kind: str = "Role"
) -> Json:
    """Gives the Role `of`, or the ClusterRole, to the subjects in one namespace."""
    return {
        **cluster_role_binding(name, of, *subjects),
        "kind": "RoleBinding",
        "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": of},
    }


def user(name: str = "alice") -> Json:
    return {"apiGroup": RBAC, "kind": "User", "name": name}


def group(name: str = "devs") -> Json:
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def service_account(name: str = "default", namespace: str | None = NAMESPACE) -> Json:
    return given({"kind": "ServiceAccount", "name": name, "namespace": namespace})


def value_of(manifest: Json) -> object:
    """What the inventory keeps of it."""
    resource = _KINDS[manifest["kind"]]
    return resource.value_of(resource.read_manifest(manifest))


def subject(manifest: Json) -> Endpoints | EndpointSlice:
    if manifest["kind"] == "Endpoints":
        return convert(manifest, Endpoints)
    return convert(manifest, EndpointSlice)


def state(*manifests: Json) -> Inventory:
    inventory = Inventory()
    for manifest in manifests:
        inventory.apply(manifest["kind"], value_of(manifest))
    return inventory


def request(
    write: Json,
    old: Json | None = None,
    *,
    user: str = "alice",
    operation: Operation | None = None,
) -> AdmissionRequest:
    """CREATE, or UPDATE where there is an old object."""
    new = subject(write)
    return AdmissionRequest(
        ref=new.ref,
        operation=operation or ("UPDATE" if old else "CREATE"),
        username=user,
        new=None if operation == "DELETE" else new,
        old=subject(old) if old else None,
    )


def findings(
    write: Json,
    *cluster: Json,
    old: Json | None = None,
    policy: Policy = POLICY,
    writer: str = "alice",
) -> tuple[Finding, ...]:
    """What is wrong with a write in this cluster."""
    before = subject(old) if old else None
    return judge(subject(write), state(*cluster), policy, old=before, writer=writer)


def said(found: Iterable[Finding]) -> set[str]:
    """Findings as `action CODE path`, to compare them as a set."""
    return {f"{f.action} {f.rule.code} {f.violation.field}" for f in found}


def blamed(write: Json, found: Iterable[Finding]) -> set[tuple[str, str, str]]:
    """Findings as rule, address and port that are wrong, wherever in the object they stand.

    Nothing is said of the object as a whole: of Endpoints and their mirror, the names differ.
    """
    parts = subject(write).parts
    entries = {each.endpoint_path: each.address.value for part in parts for each in part.addresses}
    blames = set()
    for finding in found:
        field, listed = finding.violation.field, finding.violation.listed
        at_entry = {text for path, text in entries.items() if field.startswith(f"{path}.")}
        for part in parts:
            for index, each in enumerate(part.ports):
                if field.startswith(f"{part.ports_path}[{index}]"):
                    texts = {other.address.value for other in listed or part.addresses}
                    blames |= {(finding.rule.code, text, str(each)) for text in texts}
        blames |= {(finding.rule.code, text, "") for text in at_entry}
    return blames


def codes(found: Iterable[Finding], action: str | None = None) -> set[str]:
    return {f.rule.code for f in found if action in (None, f.action)}


_RESOURCES = {
    "Endpoints": ("", "v1", "endpoints"),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices"),
}


def review(
    write: Json | None,
    old: Json | None = None,
    *,
    operation: str | None = None,
    user: str = "alice",
    uid: str = "7d1b9c1e-0000-4000-8000-000000000001",
    api_version: str = "admission.k8s.io/v1",
    **fields: Any,
) -> Json:
    """An AdmissionReview as the API server sends it; a request field given as None is left out."""
    about = write or old or endpoints()
    group, version, resource = _RESOURCES[about["kind"]]
    kind = {"group": group, "version": version, "kind": about["kind"]}
    plural = {"group": group, "version": version, "resource": resource}
    asked = {
        "uid": uid,
        "kind": kind,
        "resource": plural,
        "requestKind": kind,
        "requestResource": plural,
        "name": about["metadata"].get("name"),
        "namespace": about["metadata"].get("namespace"),
        "operation": operation or ("UPDATE" if write and old else "CREATE" if write else "DELETE"),
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": write if write is not None else NULL,
        "oldObject": old if old is not None else NULL,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        **fields,
    }
    asked = {key: None if value is NULL else value for key, value in given(asked).items()}
    return {"apiVersion": api_version, "kind": "AdmissionReview", "request": asked}


NULL = object()
"""Stands for a null that is sent, as opposed to a field that is left out."""


def body(review: object) -> bytes:
    return json.dumps(review).encode()
