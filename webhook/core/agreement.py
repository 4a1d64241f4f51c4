"""Whether the Endpoints of a Service and the slices that controllers keep beside them agree.

Both are made of the same Pods, or the slices are made of the Endpoints. What one of them may
rightly lack is no disagreement: see `placement`, and KEP-752 for the mirroring controller.
"""

from itertools import takewhile
from typing import Final

from msgspec import Struct

from webhook.core.inventory import Inventory
from webhook.core.objects import Endpoints, EndpointSlice, Part, Service
from webhook.core.objects.endpoints import MIRROR_MARK, OVER_CAPACITY_ANNOTATION, SLICE_MARK, Mark
from webhook.core.placement import in_endpoints, in_slices


class Disagreement(Struct, frozen=True):
    """Addresses, each list sorted, that one side lacks although it should have them."""

    only_endpoints: tuple[str, ...] = ()
    only_slices: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.only_endpoints or self.only_slices)


AGREED: Final = Disagreement()


def disagreement(endpoints: Endpoints, service: Service, inventory: Inventory) -> Disagreement:
    """In what they differ; in nothing where there is no slice of the controller in question."""
    if service.has_selector:
        slices = _slices(service, SLICE_MARK, inventory)
        return _by_pods(endpoints, slices, service, inventory) if slices else AGREED
    if service.selector is None and endpoints.in_effect:
        mirrors = _slices(service, MIRROR_MARK, inventory)
        return _by_content(endpoints, listed_in(*mirrors)) if mirrors else AGREED
    return AGREED


def _slices(service: Service, mark: Mark, inventory: Inventory) -> list[EndpointSlice]:
    published = inventory.for_audit.published_of(service.namespace, service.name)
    slices = (each for each in published if isinstance(each, EndpointSlice))
    return [each for each in slices if each.metadata.carries(mark)]


def _by_pods(
    endpoints: Endpoints, slices: list[EndpointSlice], service: Service, inventory: Inventory
) -> Disagreement:
    """Of addresses that are of no selected Pod, EG201 says what is wrong; a Pod that neither lists
    is EG605's.
    """
    here, there = listed_in(endpoints), listed_in(*slices)
    cut_off = is_cut_off(endpoints)
    only_endpoints, only_slices = set(), set()
    for pod in inventory.for_audit.pods_of(service):
        placed, address = in_slices(pod, service, inventory), in_endpoints(pod, service)
        if placed and address in here and there.isdisjoint(placed):
            only_endpoints.add(address)
        if address and address not in here and address in there and not cut_off:
            only_slices.add(address)
    return Disagreement(tuple(sorted(only_endpoints)), tuple(sorted(only_slices)))


def _by_content(endpoints: Endpoints, mirrored: frozenset[str]) -> Disagreement:
    here = listed_in(endpoints)
    lacking = here - mirrored
    if lacking and _ends_early(endpoints, mirrored):
        lacking = frozenset()
    return Disagreement(tuple(sorted(lacking)), tuple(sorted(mirrored - here)))


def _ends_early(endpoints: Endpoints, mirrored: frozenset[str]) -> bool:
    """Whether the first so many addresses of each subset are mirrored and no others of them.

    So it is with more than `--mirroring-max-endpoints-per-subset`: 1,000 unless the cluster says
    otherwise, and what it says is in no object.
    """
    subsets = [_values(part) for part in endpoints.parts]
    cut = (values for values in subsets if not mirrored.issuperset(values))
    limit = min(len(tuple(takewhile(mirrored.__contains__, values))) for values in cut)
    first = {value for values in subsets for value in values[:limit]}
    return limit > 0 and first == mirrored & listed_in(endpoints)


def listed_in(*published: Endpoints | EndpointSlice) -> frozenset[str]:
    """The canonical addresses that any of these lists."""
    return frozenset(value for each in published for part in each.parts for value in _values(part))


def _values(part: Part) -> list[str]:
    return [listed.address.value for listed in part.addresses if listed.address.value]


def is_cut_off(endpoints: Endpoints) -> bool:
    """Whether the controller left out addresses because there are too many."""
    return OVER_CAPACITY_ANNOTATION in (endpoints.metadata.annotations or {})
