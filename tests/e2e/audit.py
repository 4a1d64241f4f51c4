"""What the API server's audit log says of our webhooks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.e2e.controlplane import ControlPlane

_KINDS = {"endpoints": "Endpoints", "endpointslices": "EndpointSlice"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that did not come through because of a webhook."""

    user: str
    kind: str
    namespace: str
    code: int
    message: str


def refusals(plane: ControlPlane, namespaces: Iterable[str]) -> list[Refusal]:
    """All of them in these namespaces, oldest first."""
    return list(_refusals(plane, {*namespaces}))


def _refusals(plane: ControlPlane, namespaces: set[str]) -> Iterator[Refusal]:
    for event in plane.audit_events():
        about, status = event["objectRef"], event["responseStatus"]
        message = status.get("message", "")
        if about.get("namespace") in namespaces and status["code"] >= 400 and "webhook" in message:
            yield Refusal(
                user=event["user"]["username"],
                kind=_KINDS[about["resource"]],
                namespace=about["namespace"],
                code=status["code"],
                message=message,
            )


def writers(plane: ControlPlane, namespace: str) -> set[str]:
    """Who has written endpoints there."""
    return {
        event["user"]["username"]
        for event in plane.audit_events()
        if event["objectRef"].get("namespace") == namespace
    }
