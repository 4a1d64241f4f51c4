"""What the lines of a watch and the items of a list mean, good and bad."""

import json
from typing import Any

import msgspec
import pytest

from tests.cluster.samples import POD, Pod, pod
from webhook.cluster.decoding import Undecodable, WatchEvent
from webhook.cluster.errors import (
    ClusterUnavailable,
    MalformedAnswer,
    ResourceExpired,
    TooManyRequests,
)


def line(kind: str, obj: object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def without_name() -> dict[str, Any]:
    return {"metadata": {"namespace": "team"}, "spec": {}}


WEB = Pod("team", "web", "node-1")
WRONG_TYPE = "Expected `str`, got `int` - at `$.spec.nodeName`"


@pytest.mark.parametrize(
    ("given", "event"),
    [
        (line("ADDED", pod("web")), WatchEvent("ADDED", WEB)),
        (line("MODIFIED", pod("web")), WatchEvent("MODIFIED", WEB)),
        (line("DELETED", pod("web")), WatchEvent("DELETED", None, "team", "web")),
        (line("BOOKMARK", {"metadata": {"resourceVersion": "7"}}), WatchEvent("BOOKMARK")),
        (
            line("ADDED", pod("web", node=7)),
            WatchEvent("ADDED", None, "team", "web", WRONG_TYPE),
        ),
        (
            line("MODIFIED", pod("web", node="refused")),
            WatchEvent("MODIFIED", None, "team", "web", "spec.nodeName: refused"),
        ),
        # What it was does not matter any more once it is gone.
        (line("DELETED", pod("web", node=7)), WatchEvent("DELETED", None, "team", "web")),
    ],
)
def test_a_line_says_what_happened(given: bytes, event: WatchEvent) -> None:
    assert POD.read_event(given) == event


@pytest.mark.parametrize(
    ("code", "error"),
    [(410, ResourceExpired), (429, TooManyRequests), (500, ClusterUnavailable)],
)
def test_an_error_event_is_the_error_that_the_same_http_status_is(
    code: int, error: type[ClusterUnavailable]
) -> None:
    with pytest.raises(ClusterUnavailable, match=f"watch /api/v1/pods: HTTP {code}: no") as caught:
        POD.read_event(line("ERROR", {"kind": "Status", "code": code, "message": "no"}))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        line("ADDED", pod("web"))[:-9],
        line("ADDED", None),
        line("ADDED", without_name()),
        line("DELETED", without_name()),
        line("RENAMED", pod("web")),
        line("ERROR", {"code": "many"}),
        json.dumps({"object": pod("web")}).encode(),
    ],
)
def test_a_line_that_does_not_say_which_object_it_is_about_is_malformed(given: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        POD.read_event(given)


@pytest.mark.parametrize(
    ("item", "value"),
    [
        (pod("web"), WEB),
        (pod("web", node=7), Undecodable("team", "web", WRONG_TYPE)),
        (pod("web", node="refused"), Undecodable("team", "web", "spec.nodeName: refused")),
        (
            without_name(),
            Undecodable("team", "", "Object missing required field `name` - at `$.metadata`"),
        ),
        (7, Undecodable("", "", "Expected `object`, got `int`")),
    ],
)
def test_an_item_of_a_list_is_a_value_or_says_what_is_wrong(item: object, value: object) -> None:
    assert POD.read_item(msgspec.Raw(json.dumps(item).encode())) == value


def test_the_version_and_the_name_can_be_read_from_any_line() -> None:
    obj = pod("web", node=7)
    obj["metadata"]["resourceVersion"] = "42"
    assert POD.version_of(line("MODIFIED", obj)) == "42"
    assert POD.key_of(line("MODIFIED", obj)) == ("team", "web")
