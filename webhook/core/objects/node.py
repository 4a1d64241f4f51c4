"""Nodes: the addresses that are theirs, and the Pod ranges that they were given."""

from msgspec import Struct

from webhook.core.addresses import parse
from webhook.core.objects.decoding import NO_METADATA, Metadata, api_name


class Node(Struct, frozen=True, gc=False, kw_only=True):
    """A Node, compactly."""

    name: str
    uid: str = ""
    ips: tuple[str, ...] = ()
    """Canonical internal and external addresses (a Hostname may be one, too)."""
    pod_cidrs: tuple[str, ...] = ()


class _Address(Struct, frozen=True, omit_defaults=True, gc=False):
    address: str = ""


class _Spec(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] | None = None


class _Status(Struct, frozen=True, omit_defaults=True, gc=False):
    addresses: tuple[_Address, ...] | None = None


class WireNode(Struct, frozen=True, omit_defaults=True, gc=False):
    """core/v1 Node as it stands on the wire."""

    metadata: Metadata = NO_METADATA
    spec: _Spec = _Spec()
    status: _Status = _Status()

    def compact(self) -> Node:
        """The value that rules and indexes use."""
        texts = (parse(entry.address).value for entry in self.status.addresses or ())
        cidrs = (*(self.spec.pod_cidrs or ()), self.spec.pod_cidr)
        return Node(
            name=self.metadata.name,
            uid=self.metadata.uid,
            ips=tuple(dict.fromkeys(filter(None, texts))),
            pod_cidrs=tuple(dict.fromkeys(filter(None, cidrs))),
        )
