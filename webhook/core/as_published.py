"""Addresses that stand in an object exactly as the control plane's controllers write them.

Nearly every address that is ever judged does. A few comparisons show it, where asking every rule
takes ten times as long; so rules are asked about the others only (`Rule.spares_published`). To be
left out here is no accusation: a terminating Pod, a host name, a targetRef without uid are fine.

Source: endpoints_controller (podToEndpointAddressForService, addEndpointSubset) and the
endpointslice utils (podToEndpoint) of Kubernetes 1.36.
"""

from collections.abc import Callable, Mapping

from webhook.core.inventory import Inventory
from webhook.core.objects import ListedAddress, Part, Pod, Service

PodAsPublished = Callable[[ListedAddress], Pod | None]
"""The Pod for which the controllers would write just this; None if they might write another."""


def pods_as_published(service: Service, inventory: Inventory, part: Part) -> PodAsPublished:
    """What tells the Pods of the addresses in a part of what `service`, by its selector, has."""
    namespace, families = service.namespace, _families(service, part)
    unready_too = service.publish_not_ready
    pods = inventory.pods.objects.get
    selected: Mapping[str, str] | None = None  # Pods of one owner share one map of labels.

    def pod_as_published(listed: ListedAddress) -> Pod | None:
        nonlocal selected
        ref, address = listed.target_ref, listed.address
        pod = pods((namespace, ref.name)) if ref is not None else None
        if ref is None or pod is None:
            return None
        as_published = (
            (ref.kind == "Pod" and ref.namespace == namespace)
            and (ref.uid == pod.uid and not ref.api_version)
            and (address.text in pod.ips and address.family in families)
            and (listed.node_name == pod.node_name and not listed.hostname)
            and listed.ready is (unready_too or pod.ready)
            and pod.plain
            and not (address.special or address.embedded)
        )
        if not as_published:
            return None
        if pod.labels is not selected:
            if not service.selects(pod.labels):
                return None
            selected = pod.labels
        return pod

    return pod_as_published


def _families(service: Service, part: Part) -> tuple[str, ...]:
    every = service.families or ("IPv4", "IPv6")
    return tuple(family for family in every if part.address_type in ("", family))
