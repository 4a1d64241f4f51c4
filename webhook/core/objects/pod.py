"""Pods: one compact value each, since a cluster has 150,000 of them."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from sys import intern
from typing import Final

from msgspec import Struct

from webhook.core.addresses import canonical
from webhook.core.objects.decoding import (
    MOST_ENTRIES,
    MOST_LABELS,
    NO_METADATA,
    Metadata,
    api_name,
)

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


class ContainerPort(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """A declared port; only named ones matter, because numbers need no declaration."""

    name: str = ""
    protocol: str = "TCP"
    container_port: int = 0


class Pod(Struct, frozen=True, gc=False, kw_only=True):
    """A Pod, compactly."""

    namespace: str
    name: str
    uid: str = ""
    node_name: str = ""
    ips: tuple[str, ...] = ()
    """Canonical, at most one of each family."""
    labels: Mapping[str, str] = {}
    ready: bool = False
    terminal: bool = False
    """Succeeded or Failed: it holds no address any more, whatever its status says."""
    deleting: bool = False
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    ports: tuple[ContainerPort, ...] = ()
    """Named ports in the order in which targetPort is resolved."""
    plain: bool = False
    """Nothing about it makes its endpoints special: it lives, is not being deleted, and is in no
    subdomain.
    """

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def holds(self, ip: str) -> bool:
        """Whether this canonical address is its own now."""
        return not self.terminal and ip in self.ips


NamedPorts = Mapping[tuple[str, str], int]
"""Numbers of a Pod's ports by name and protocol."""


def named_ports(ports: Iterable[ContainerPort]) -> NamedPorts:
    """Of a name that several containers have, the first one's number.

    Made once for as many Service ports as there are: a Pod, too, may have thousands.
    """
    numbers: dict[tuple[str, str], int] = {}
    for port in ports:
        numbers.setdefault((port.name, port.protocol), port.container_port)
    return numbers


def resolve_port(target_port: int | str, protocol: str, ports: NamedPorts) -> int | None:
    """What a Service's targetPort means on a Pod with these ports; None when it has no such name.

    Source: endpointslice util FindPort: a number is taken as it is, declared or not; a name is
    looked up in the containers, then in the restartable init containers.
    """
    if isinstance(target_port, int):
        return target_port
    return ports.get((target_port, protocol))


class _Container(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str = ""


class _Spec(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    containers: tuple[_Container, ...] | None = None
    init_containers: tuple[_Container, ...] | None = None


class _Condition(Struct, frozen=True, omit_defaults=True, gc=False):
    type: str = ""
    status: str = ""


class _PodIP(Struct, frozen=True, omit_defaults=True, gc=False):
    ip: str = ""


class _Status(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    phase: str = ""
    conditions: tuple[_Condition, ...] | None = None
    pod_ip: str = ""
    pod_ips: tuple[_PodIP, ...] | None = None


class WirePod(Struct, frozen=True, omit_defaults=True, gc=False):
    """core/v1 Pod as it stands on the wire."""

    metadata: Metadata = NO_METADATA
    spec: _Spec = _Spec()
    status: _Status = _Status()

    def compact(self) -> Pod:
        """The value that rules and indexes use. Strings that many Pods share are kept once."""
        metadata, spec, status = self.metadata, self.spec, self.status
        terminal = status.phase in TERMINAL_PHASES
        deleting = metadata.deletion_timestamp is not None
        return Pod(
            namespace=intern(metadata.namespace),
            name=metadata.name,
            uid=metadata.uid,
            node_name=intern(spec.node_name),
            ips=_ips(status),
            labels=_labels(metadata),
            ready=_ready(status),
            terminal=terminal,
            deleting=deleting,
            hostname=spec.hostname,
            subdomain=intern(spec.subdomain),
            host_network=spec.host_network,
            ports=_ports(spec),
            plain=not (terminal or deleting or spec.subdomain),
        )


_SHARED: Final = 4096
"""Recent values that are looked through for an equal one. A list comes in the order of the names,
so the Pods of one owner come one after the other.
"""


def _labels(metadata: Metadata) -> Mapping[str, str]:
    labels = metadata.labels or {}
    return _shared_labels(tuple(labels.items()) if len(labels) <= MOST_LABELS else ())


@lru_cache(maxsize=_SHARED)
def _shared_labels(labels: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """The labels, once for all Pods of a ReplicaSet or DaemonSet."""
    return {intern(key): intern(value) for key, value in labels}


@lru_cache(maxsize=_SHARED)
def _shared_ports(ports: tuple[ContainerPort, ...]) -> tuple[ContainerPort, ...]:
    return ports


def _ips(status: _Status) -> tuple[str, ...]:
    """podIPs, unless podIP contradicts them: then podIP alone (core/v1 conversion)."""
    listed = tuple([entry.ip for entry in status.pod_ips or ()])
    if status.pod_ip and listed[:1] != (status.pod_ip,):
        listed = (status.pod_ip,)
    return tuple([value for value in map(canonical, listed) if value])


def _ready(status: _Status) -> bool:
    for entry in status.conditions or ():
        if entry.type == "Ready":
            return entry.status == "True"
    return False


def _ports(spec: _Spec) -> tuple[ContainerPort, ...]:
    sidecars = (c for c in spec.init_containers or () if c.restart_policy == "Always")
    containers = (*(spec.containers or ()), *sidecars)
    named = [port for c in containers for port in c.ports or () if port.name]
    return _shared_ports(tuple(named[:MOST_ENTRIES]))
