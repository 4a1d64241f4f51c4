"""Where the control plane's controllers list a Pod that a Service selects.

Source: endpoints_controller (syncService, podToEndpointAddressForService) and the endpointslice
reconciler (reconcileByAddressType) of Kubernetes 1.36.
"""

from webhook.core.addresses import family_of
from webhook.core.inventory import Inventory
from webhook.core.objects import Pod, Service
from webhook.core.objects.pod import named_ports, resolve_port


def in_slices(pod: Pod, service: Service, inventory: Inventory) -> tuple[str, ...]:
    """The addresses under which EndpointSlices list it; none if they leave it out.

    A terminating Pod stays until it is gone, and one without a port just has none there. A Pod
    whose Node is unknown is left out until the Node is known.
    """
    on_node = service.publish_not_ready or inventory.node(pod.node_name) is not None
    if pod.terminal or not on_node:
        return ()
    families = service.families
    return tuple([ip for ip in pod.ips if not families or family_of(ip) in families])


def in_endpoints(pod: Pod, service: Service) -> str:
    """The address under which Endpoints list it, unless they are cut off; empty if they leave it
    out: while it terminates, without any of the Service's ports, or without the first of the
    Service's families.
    """
    if pod.terminal or (pod.deleting and not service.publish_not_ready) or not pod.ips:
        return ""
    ports = named_ports(pod.ports)
    resolved = [resolve_port(p.target_port, p.protocol, ports) for p in service.ports]
    if resolved and all(number is None for number in resolved):
        return ""
    wanted = service.families[0] if service.families else family_of(pod.ips[0])
    return next((ip for ip in pod.ips if family_of(ip) == wanted), "")
