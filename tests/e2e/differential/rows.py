"""The rows of the races table: how what a controller saw can differ from what there is by now.

Here is which changes there are and how to tell them; what they explain is in `explain.py`.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from tests.e2e.api import Json
from tests.e2e.differential.history import Version


class Row(StrEnum):
    """What has changed since the controller looked."""

    POD_GONE = "R2"
    POD_RECREATED = "R3"
    IP_REUSED = "R4"
    POD_IPS = "R5"
    READINESS = "R6"
    TERMINATING = "R7"
    TERMINAL = "R8"
    POD_LABELS = "R9"
    SELECTOR = "R10"
    PORTS = "R11"
    PUBLISH_NOT_READY = "R12"
    FAMILIES = "R13"
    NOT_SELECTING = "R14"
    SERVICE_GONE = "R15"
    SERVICE_RECREATED = "R16"
    NODE = "R17"
    ENDPOINTS = "R18"
    MIRRORING_ENDED = "R19"
    MIXED = "R23"
    ALIAS = "4"
    """No race: section 4 of the semantics, which says what the mirroring controller looks at."""


MEANING: Mapping[Row, str] = {
    Row.POD_GONE: "the Pod was deleted",
    Row.POD_RECREATED: "the Pod was created anew under its name",
    Row.IP_REUSED: "another Pod got the address",
    Row.POD_IPS: "the Pod got other addresses",
    Row.READINESS: "the Pod became ready or unready",
    Row.TERMINATING: "the Pod began to terminate",
    Row.TERMINAL: "the Pod has succeeded or failed",
    Row.POD_LABELS: "the Pod got other labels",
    Row.SELECTOR: "the Service got another selector",
    Row.PORTS: "the Service got other ports",
    Row.PUBLISH_NOT_READY: "publishNotReadyAddresses was switched",
    Row.FAMILIES: "the Service got other families, or became headless",
    Row.NOT_SELECTING: "the Service became ExternalName or lost its selector",
    Row.SERVICE_GONE: "the Service was deleted",
    Row.SERVICE_RECREATED: "the Service was created anew",
    Row.NODE: "the Node is gone",
    Row.ENDPOINTS: "the mirrored Endpoints have changed",
    Row.MIRRORING_ENDED: "the Service got a selector while it was mirrored",
    Row.MIXED: "besides: Service and Pod were never so at one time",
    Row.ALIAS: "no race: mirrored for an ExternalName, whose type nobody looked at",
}

_POD = {Row.POD_GONE, Row.POD_RECREATED, Row.IP_REUSED}
_HOLDING = {*_POD, Row.POD_IPS, Row.TERMINAL}
_MIRROR = {Row.ENDPOINTS, Row.MIRRORING_ENDED}
EXPLAINS: Mapping[str, set[Row]] = {
    "EG102": {Row.NOT_SELECTING},
    "EG201": {*_HOLDING, *_MIRROR, Row.POD_LABELS, Row.SELECTOR, Row.SERVICE_RECREATED},
    "EG204": {*_POD, *_MIRROR},
    "EG205": {*_POD, *_MIRROR},
    "EG301": _MIRROR,
    "EG303": {Row.POD_GONE, Row.POD_RECREATED, Row.ENDPOINTS},
    "EG304": {Row.POD_IPS, Row.TERMINAL, *_MIRROR},
    "EG401": {Row.PORTS, Row.SERVICE_RECREATED, *_MIRROR},
    "EG402": {Row.PORTS, Row.SERVICE_RECREATED, *_POD, *_MIRROR},
    "EG403": {Row.PORTS, Row.SERVICE_RECREATED, *_MIRROR},
    "EG501": {Row.IP_REUSED},
}
"""The changes for which a rule refuses what was right before; no other explains its refusal."""


def service_changes(then: Version, now: Version | None) -> Iterator[Row]:
    if now is None:
        yield Row.SERVICE_GONE
        return
    if now.uid != then.uid:
        yield Row.SERVICE_RECREATED
    before, after = then.object["spec"], now.object["spec"]
    if not selects(now):
        yield Row.NOT_SELECTING
    for row, keys in (
        (Row.SELECTOR, ("selector",)),
        (Row.PORTS, ("ports",)),
        (Row.PUBLISH_NOT_READY, ("publishNotReadyAddresses",)),
        (Row.FAMILIES, ("ipFamilies", "clusterIP")),
    ):
        if _some(before, keys) != _some(after, keys):
            yield row


def pod_changes(then: Version, now: Version | None) -> Iterator[Row]:
    if now is None:
        yield Row.POD_GONE
        return
    if now.uid != then.uid:
        yield Row.POD_RECREATED
        return
    if ips(then) != ips(now):
        yield Row.POD_IPS
    if is_ready(then) != is_ready(now):
        yield Row.READINESS
    if "deletionTimestamp" in now.object["metadata"]:
        yield Row.TERMINATING
    if not is_live(now):
        yield Row.TERMINAL
    if then.object["metadata"].get("labels") != now.object["metadata"].get("labels"):
        yield Row.POD_LABELS


def mirroring_changes(
    mirrored: Version, now: list[Version | None], services: list[Version | None]
) -> Iterator[Row]:
    if any(each is not mirrored for each in now):
        yield Row.ENDPOINTS
    for service in services:
        if service is None:
            yield Row.SERVICE_GONE
        elif service.object["spec"]["type"] == "ExternalName":
            yield Row.NOT_SELECTING
        elif selects(service):
            yield Row.MIRRORING_ENDED


def selects(service: Version) -> bool:
    spec = service.object["spec"]
    return spec["type"] != "ExternalName" and bool(spec.get("selector"))


def is_mirrored(service: Version) -> bool:
    """As far as the mirroring controller is concerned, which does not look at the type."""
    return not service.object["spec"].get("selector")


def ips(pod: Version) -> list[str]:
    return [entry["ip"] for entry in pod.object["status"].get("podIPs") or []]


def is_live(pod: Version) -> bool:
    return pod.object["status"].get("phase") not in ("Succeeded", "Failed")


def is_ready(pod: Version) -> bool:
    conditions = pod.object["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _some(spec: Json, keys: tuple[str, ...]) -> list[Any]:
    return [spec.get(key) for key in keys]


_TOLD = (
    *("type", "selector", "ports", "publishNotReadyAddresses", "ipFamilies", "clusterIP"),
    *("nodeName", "hostname", "subdomain"),
)


def told(version: Version) -> str:
    """One version, in the few fields that endpoints depend on."""
    metadata, spec = version.object["metadata"], version.object.get("spec", {})
    state = version.object.get("status", {})
    facts = {
        "uid": version.uid,
        "labels": metadata.get("labels"),
        "deleting": "deletionTimestamp" in metadata,
        **{key: spec[key] for key in _TOLD if key in spec},
        "containerPorts": [c.get("ports") for c in spec.get("containers", ())],
        "phase": state.get("phase"),
        "ips": ips(version) if "podIPs" in state else None,
        "ready": "phase" in state and is_ready(version),
        "subsets": version.object.get("subsets"),
    }
    known = {key: fact for key, fact in facts.items() if fact}
    return f"  {metadata['name']} {version.since:.3f} to {version.until:.3f}: {known}"
