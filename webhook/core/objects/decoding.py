"""From JSON bytes, or from plain data that YAML gave, to typed values; errors name the field."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from webhook.core.objects.nesting import read_json

Value = TypeVar("Value")
_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`")


class InvalidObject(ValueError):
    """A field has the wrong type or shape. `path` is Kubernetes' way to write it, such as
    `subsets[0].ports[1].port`; empty when the object as a whole is meant.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}" if path else reason)


class UnknownField(InvalidObject):
    """A field that there is not, where no other may stand."""

    def __init__(self, path: str, field: str) -> None:
        self.field = field
        super().__init__(path, f"unknown field `{field}`")


_ACRONYMS = {"ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "urls": "URLs"}


def api_name(field: str) -> str:
    """The API's spelling of a field: `cluster_ips` is `clusterIPs`, `pod_cidr` is `podCIDR`."""
    first, *rest = field.split("_")
    return first + "".join(_ACRONYMS.get(word) or word.capitalize() for word in rest)


MOST_LABELS: Final = 256
MOST_ENTRIES: Final = 1024
"""More labels, or ports or external addresses, are kept of no Pod or Service. Nobody needs as many,
but a hundred objects as large as the API server stores them would fill the memory of a replica. A
Pod with more labels is taken for one that no Service selects: the strict side.
"""


class ObjectRef(Struct, frozen=True, gc=False, order=True):
    """How everything names a Kubernetes object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(filter(None, (self.kind, self.namespace, self.name)))


class Metadata(Struct, frozen=True, omit_defaults=True, gc=False, rename=api_name):
    """What rules and indexes need of metav1.ObjectMeta."""

    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None


NO_METADATA = Metadata()


def decode(
    data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[Value], *, however_deep: bool = True
) -> Value:
    """JSON to a value. Raises `InvalidObject`, whatever the bytes are; also, unless `however_deep`,
    for what is nested so deep that reading it takes long.
    """
    return _explained(lambda: read_json(data, decoder) if however_deep else decoder.decode(data))


def convert(data: Any, to: type[Value]) -> Value:
    """Plain data (dicts, lists, scalars), as a YAML reader gives it, to a value.

    Raises `InvalidObject`. A null counts as absent, as in the API server's own decoder.
    """
    return _explained(lambda: msgspec.convert(_without_nulls(data), to, str_keys=True))


def _explained(read: Callable[[], Value]) -> Value:
    try:
        return read()
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        path = place.removeprefix("`key` in ").strip("`").removeprefix("$").lstrip(".")
        unknown = _UNKNOWN_FIELD.fullmatch(reason)
        if unknown is not None:
            raise UnknownField(f"{path}.{unknown[1]}".lstrip("."), unknown[1]) from None
        raise InvalidObject(path, reason) from None
    except msgspec.DecodeError as error:
        raise InvalidObject("", f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidObject("", "nested too deeply") from None
    except UnicodeError:  # also of half a surrogate pair, as a key: PyYAML's own reader lets it by
        raise InvalidObject("", "not UTF-8") from None


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_nulls(item) for item in data]
    return data
