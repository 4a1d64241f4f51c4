"""A real cluster as `State`: informers for what is known, live reads for what must be certain."""

import gc
from time import monotonic
from typing import Final

import msgspec

from webhook.cluster.api import ClusterApi
from webhook.cluster.confirm import confirm
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.informer import Informer, InformerSet, InformerStatus
from webhook.cluster.listwatch import DEFAULT_PACE, Pace
from webhook.cluster.resources import API_SERVER_SLICES, NODE, POD, SERVICE
from webhook.cluster.shared_reads import SharedReads
from webhook.cluster.state import Condition, Confirmed
from webhook.core.decision import Indeterminate, Obstacle
from webhook.core.excerpt import Excerpt
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest, InvalidObject, decode

INFORMED: Final = (SERVICE, POD, NODE, API_SERVER_SLICES)
"""What is listed and watched; `permissions.INFORMERS` says what that needs."""

_FOR_EVER: Final = 10.0**9
_ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class _AccessStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _AccessReview(msgspec.Struct, frozen=True):
    status: _AccessStatus = _AccessStatus()


_ACCESS_DECODER: Final = msgspec.json.Decoder(_AccessReview)


def _access_review(request: AdmissionRequest) -> dict[str, object]:
    slices = request.ref.kind == "EndpointSlice"
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": request.username,
            "groups": request.groups,
            "extra": request.extra,
            "resourceAttributes": {
                "verb": "create",
                "group": "discovery.k8s.io" if slices else "",
                "resource": "endpointslices" if slices else "endpoints",
                "subresource": "restricted",
                "namespace": request.ref.namespace,
                "name": request.ref.name,
            },
        },
    }


class LiveCluster:
    """The cluster behind one API server."""

    def __init__(self, api: ClusterApi, *, pace: Pace = DEFAULT_PACE) -> None:
        self.api = api
        self._inventory = Inventory()
        self._reads = SharedReads(api)
        self.informers = InformerSet(
            Informer(api, resource, self._inventory, pace=pace) for resource in INFORMED
        )

    def start(self) -> None:
        """Begin to read; after the fork, since threads do not survive one."""
        self.informers.start()

    def freeze_when_synced(self) -> None:
        """Wait for the first complete list of every kind; then keep all of it out of collections.

        Else the garbage collector walks over every Pod again and again, 40 ms for 150,000 of them,
        while no request is answered. For a process that serves, in a thread of its own.
        """
        self.informers.wait_synced(monotonic() + _FOR_EVER)
        gc.collect()
        gc.freeze()

    def known(self) -> Inventory | Indeterminate:
        """What the informers have; nothing before each of them has listed everything once."""
        if self.informers.synced:
            return self._inventory
        waiting = ", ".join(s.kind for s in self.informers.status() if not s.synced)
        return Indeterminate(f"the informers of {waiting} have not synced yet", Obstacle.NOT_SYNCED)

    def confirmed(self, excerpt: Excerpt, deadline: float) -> Confirmed | Indeterminate:
        """What the verdict depends on, read from the API server itself."""
        try:
            return confirm(excerpt, self._inventory, self._reads, deadline)
        except ClusterUnavailable as error:
            return Indeterminate(error.reason)
        except InvalidObject as error:
            return Indeterminate(f"an object from the API server cannot be read: {error}")

    def may_restricted(self, request: AdmissionRequest, deadline: float) -> bool | Indeterminate:
        """Ask the API server's authorizers, by a SubjectAccessReview."""
        try:
            answer = self.api.post(_ACCESS_REVIEWS, _access_review(request), deadline=deadline)
            return decode(answer, _ACCESS_DECODER).status.allowed
        except ClusterUnavailable as error:
            return Indeterminate(error.reason)
        except InvalidObject as error:
            return Indeterminate(f"the SubjectAccessReview cannot be read: {error}")

    def conditions(self) -> tuple[Condition, ...]:
        """A line for each informer. One that has synced stays ready while its watch is down.

        Were it otherwise, an API server that restarts would find every replica unready.
        """
        return conditions_of(self.informers)


def conditions_of(informers: InformerSet) -> tuple[Condition, ...]:
    """A line for each informer."""
    return tuple(map(_condition, informers.status()))


def _condition(status: InformerStatus) -> Condition:
    text = f"{status.objects} objects, last contact {status.age:.0f} s ago"
    if not status.synced:
        text = f"not synced yet: {status.last_error or 'the first list is under way'}"
    elif status.last_error:
        text = f"{text}, behind: {status.last_error}"
    if status.undecodable:
        text = f"{text}, {status.undecodable} left out (see the log)"
    return Condition(part=f"informer {status.kind}", ready=status.synced, text=text)
