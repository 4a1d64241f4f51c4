"""Services: what decides which Pods and ports belong to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from webhook.core.addresses import parse
from webhook.core.objects.decoding import (
    MOST_ENTRIES,
    MOST_LABELS,
    NO_METADATA,
    Metadata,
    api_name,
)

_OF_NO_POD: Final = MappingProxyType({"": ""})
"""A selector with a key that no label has."""


class ServicePort(Struct, frozen=True, gc=False, kw_only=True):
    """A port of a Service, with the API server's defaults applied."""

    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    target_port: int | str = 0
    app_protocol: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Name and protocol, by which a port of Endpoints is joined to it."""
        return self.name, self.protocol


class Service(Struct, frozen=True, gc=False, kw_only=True):
    """A Service, compactly."""

    namespace: str
    name: str
    uid: str = ""
    type: str = "ClusterIP"
    selector: Mapping[str, str] | None = None
    """None also for an empty map: the API server cannot store one, so it selects nothing."""
    ports: tuple[ServicePort, ...] = ()
    cluster_ips: tuple[str, ...] = ()
    public_ips: tuple[str, ...] = ()
    """External addresses, and those that a load balancer has given (not those asked for)."""
    families: tuple[str, ...] = ()
    """Empty when unknown: a manifest that the API server has not defaulted yet."""
    publish_not_ready: bool = False

    @property
    def has_selector(self) -> bool:
        """Whether the control plane's controllers write its endpoints: then nobody else should."""
        return self.selector is not None and self.type != "ExternalName"

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Equality on every pair; a missing key never matches, not even the empty value."""
        return self.selector is not None and self.selector.items() <= labels.items()


class _WirePort(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    target_port: int | str = 0
    app_protocol: str | None = None


class _Spec(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    ports: tuple[_WirePort, ...] | None = None
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] | None = None
    external_ips: tuple[str, ...] | None = None
    ip_families: tuple[str, ...] | None = None
    publish_not_ready_addresses: bool = False


class _IngressPoint(Struct, frozen=True, omit_defaults=True, gc=False):
    ip: str = ""


class _LoadBalancer(Struct, frozen=True, omit_defaults=True, gc=False):
    ingress: tuple[_IngressPoint, ...] | None = None


class _Status(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    load_balancer: _LoadBalancer = _LoadBalancer()


class WireService(Struct, frozen=True, omit_defaults=True, gc=False):
    """core/v1 Service as it stands on the wire."""

    metadata: Metadata = NO_METADATA
    spec: _Spec = _Spec()
    status: _Status = _Status()

    def compact(self) -> Service:
        """The value that rules and indexes use."""
        spec = self.spec
        cluster_ips = _addresses((*(spec.cluster_ips or ()), spec.cluster_ip))
        return Service(
            namespace=self.metadata.namespace,
            name=self.metadata.name,
            uid=self.metadata.uid,
            type=spec.type,
            selector=_selector(spec),
            ports=tuple(map(_port, (spec.ports or ())[:MOST_ENTRIES])),
            cluster_ips=cluster_ips,
            public_ips=self._public_ips(),
            families=spec.ip_families or tuple(parse(ip).family for ip in cluster_ips),
            publish_not_ready=spec.publish_not_ready_addresses,
        )

    def _public_ips(self) -> tuple[str, ...]:
        ingress = self.status.load_balancer.ingress or ()
        given = (self.spec.external_ips or ())[:MOST_ENTRIES]
        return _addresses((*given, *(point.ip for point in ingress)))


def _selector(spec: _Spec) -> Mapping[str, str] | None:
    if len(spec.selector or ()) > MOST_LABELS:
        return _OF_NO_POD
    return spec.selector or None


def _port(wire: _WirePort) -> ServicePort:
    return ServicePort(
        name=wire.name,
        protocol=wire.protocol or "TCP",
        port=wire.port,
        target_port=wire.target_port or wire.port,
        app_protocol=wire.app_protocol or "",
    )


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Canonical, each once; `None` and the empty string are headless, not addresses."""
    return tuple(dict.fromkeys(filter(None, (parse(text).value for text in texts))))
