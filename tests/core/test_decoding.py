"""From JSON to values: bytes and plain data alike, and what is said of what cannot be read."""

from typing import Any

import pytest
from msgspec import json

from tests.builders import (
    Json,
    address,
    empty_endpoints,
    empty_slice,
    endpoint,
    endpoint_slice,
    endpoints,
    external,
    external_endpoint,
    port,
    service,
    subject,
    subset,
)
from webhook.core.objects import Endpoints, EndpointSlice, InvalidObject, convert, decode
from webhook.core.objects.decoding import api_name
from webhook.core.objects.pod import WirePod
from webhook.core.objects.service import WireService


def decoder_of(manifest: Json) -> "json.Decoder[Endpoints | EndpointSlice]":
    return json.Decoder(Endpoints if manifest["kind"] == "Endpoints" else EndpointSlice)


@pytest.mark.parametrize("manifest", [empty_endpoints(), empty_slice()], ids=["Endpoints", "slice"])
def test_null_lists_are_empty_lists(manifest: Json) -> None:
    for read in (subject(manifest), decode(json.encode(manifest), decoder_of(manifest))):
        assert not any(part.addresses or part.ports for part in read.parts)


@pytest.mark.parametrize(
    "manifest",
    [
        endpoints(subset(address(hostname="web-1"), waiting=[external()], ports=[port(name=None)])),
        endpoint_slice(endpoint(hostname="web-1"), external_endpoint("fd00::1", "fd00::2")),
    ],
    ids=["Endpoints", "slice"],
)
def test_bytes_and_plain_data_give_the_same_value(manifest: Json) -> None:
    assert decode(json.encode(manifest), decoder_of(manifest)) == subject(manifest)


def test_a_key_that_is_half_a_character_is_refused_in_plain_data_too() -> None:
    """PyYAML makes one of `"\\ud800": 1` where it has no libyaml to read for it."""
    with pytest.raises(InvalidObject, match="not UTF-8"):
        convert({"metadata": {"\ud800": "x"}}, Endpoints)


SPELLINGS = {
    "cluster_ip": "clusterIP",
    "cluster_ips": "clusterIPs",
    "external_ips": "externalIPs",
    "load_balancer_ip": "loadBalancerIP",
    "ip_families": "ipFamilies",
    "pod_ip": "podIP",
    "pod_ips": "podIPs",
    "pod_cidr": "podCIDR",
    "pod_cidrs": "podCIDRs",
    "publish_not_ready_addresses": "publishNotReadyAddresses",
    "not_ready_addresses": "notReadyAddresses",
    "target_ref": "targetRef",
    "api_version": "apiVersion",
    "app_protocol": "appProtocol",
    "ip": "ip",
}


@pytest.mark.parametrize(("ours", "theirs"), SPELLINGS.items(), ids=SPELLINGS)
def test_fields_have_the_api_s_spelling(ours: str, theirs: str) -> None:
    assert api_name(ours) == theirs


def test_what_a_newer_api_server_adds_is_ignored() -> None:
    manifest = endpoint_slice(
        endpoint(hints={"forZones": [{"name": "a"}]}, deprecatedTopology={"a": "b"}, zone="a")
    )
    manifest["endpoints"][0]["targetRef"].update(resourceVersion="1", fieldPath="spec")
    manifest["future"] = {"deeply": [{"new": None}]}
    assert subject(manifest) == subject(endpoint_slice())


def test_case_matters_as_in_the_api_server() -> None:
    assert convert({**endpoints(), "subsets": None, "Subsets": [{}]}, Endpoints).subsets is None


WRONG_TYPES: dict[str, tuple[type[Any], Json, str, str]] = {
    "a port as text": (
        Endpoints,
        {"subsets": [{"ports": [{"port": 1}, {"port": "80"}]}]},
        "subsets[0].ports[1].port",
        "Expected `int | null`, got `str`",
    ),
    "a port with a fraction": (
        EndpointSlice,
        {"ports": [{"port": 80.5}]},
        "ports[0].port",
        "Expected `int | null`, got `float`",
    ),
    "a port that is true": (
        EndpointSlice,
        {"ports": [{"port": True}]},
        "ports[0].port",
        "Expected `int | null`, got `bool`",
    ),
    "an address as a number": (
        Endpoints,
        {"subsets": [{"notReadyAddresses": [{"ip": 1}]}]},
        "subsets[0].notReadyAddresses[0].ip",
        "Expected `str`, got `int`",
    ),
    "addresses as one text": (
        EndpointSlice,
        {"endpoints": [{"addresses": "10.0.0.1"}]},
        "endpoints[0].addresses",
        "Expected `array | null`, got `str`",
    ),
    "an address among them": (
        EndpointSlice,
        {"endpoints": [{}, {"addresses": ["10.0.0.1", 1]}]},
        "endpoints[1].addresses[1]",
        "Expected `str`, got `int`",
    ),
    "targetRef as text": (
        EndpointSlice,
        {"endpoints": [{"targetRef": "web-1"}]},
        "endpoints[0].targetRef",
        "Expected `object | null`, got `str`",
    ),
    "the uid in it": (
        EndpointSlice,
        {"endpoints": [{"targetRef": {"uid": []}}]},
        "endpoints[0].targetRef.uid",
        "Expected `str`, got `array`",
    ),
    "subsets as an object": (
        Endpoints,
        {"subsets": {}},
        "subsets",
        "Expected `array | null`, got `object`",
    ),
    "a selector's value": (
        WireService,
        {"spec": {"selector": {"app": 1}}},
        "spec.selector[...]",
        "Expected `str`, got `int`",
    ),
    "a targetPort that is neither": (
        WireService,
        {"spec": {"ports": [{"targetPort": []}]}},
        "spec.ports[0].targetPort",
        "Expected `int | str`, got `array`",
    ),
    "a cluster IP": (
        WireService,
        {"spec": {"clusterIP": 1}},
        "spec.clusterIP",
        "Expected `str`, got `int`",
    ),
    "a Pod's address": (
        WirePod,
        {"status": {"podIPs": [{"ip": "10.0.0.1"}, "fd00::1"]}},
        "status.podIPs[1]",
        "Expected `object`, got `str`",
    ),
    "metadata as a list": (
        Endpoints,
        {"metadata": []},
        "metadata",
        "Expected `object`, got `array`",
    ),
    "no object at all": (Endpoints, [], "", "Expected `object`, got `array`"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "plain data"])
@pytest.mark.parametrize(("to", "data", "path", "why"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_a_wrong_type_names_its_field(
    to: type[Any], data: Json, path: str, why: str, as_bytes: bool
) -> None:
    with pytest.raises(InvalidObject) as caught:
        decode(json.encode(data), json.Decoder(to)) if as_bytes else convert(data, to)
    assert (caught.value.path, caught.value.reason) == (path, why)
    assert str(caught.value) == (f"{path}: {why}" if path else why)


def test_a_key_that_is_no_text_names_the_map_that_it_is_in() -> None:
    with pytest.raises(InvalidObject) as caught:
        convert(endpoints(labels={1: "x"}), Endpoints)
    assert caught.value.path == "metadata.labels"


BROKEN_BYTES = {
    "nothing": (b"", "not JSON"),
    "half an object": (b'{"subsets": [', "not JSON"),
    "an object and more": (b"{} {}", "not JSON"),
    "no UTF-8": (b'{"metadata": {"name": "\xff"}}', "not UTF-8"),
    "deep nesting of a known field": (b'{"subsets": ' + b"[" * 100_000, "Expected `object`"),
    "deep nesting of an unknown field": (b'{"future": ' + b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize(("data", "why"), BROKEN_BYTES.values(), ids=BROKEN_BYTES)
def test_broken_bytes_are_an_invalid_object(data: bytes, why: str) -> None:
    with pytest.raises(InvalidObject, match=why):
        decode(data, json.Decoder(Endpoints))


def test_data_that_contains_itself_is_an_invalid_object() -> None:
    manifest = endpoints()
    manifest["subsets"].append(manifest)
    with pytest.raises(InvalidObject, match="nested too deeply"):
        convert(manifest, Endpoints)


def test_a_null_in_plain_data_counts_as_absent() -> None:
    manifest = service(clusterIP=None)
    manifest["spec"].update(type=None, ipFamilies=None, publishNotReadyAddresses=None)
    without = convert(service(clusterIP=None), WireService)
    assert convert(manifest, WireService) == without
