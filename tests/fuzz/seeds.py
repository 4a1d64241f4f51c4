"""What the guided fuzzer begins with: everything that the tests and the documents have examples of.

Each target has its own form of it, as bytes.
"""

import json
from collections.abc import Iterator

from tests.builders import Json, body, review
from tests.coverage.table import BYPASSES, PATTERNS, SCENE, asked, attempts
from webhook.cluster.documents import load_document
from webhook.cluster.resources import STORED
from webhook.core.example_cluster import CLUSTER
from webhook.core.rules import RULES

_EXAMPLES = [example for rule in RULES.values() for example in rule.examples]
_ATTEMPTS = [*attempts(BYPASSES).values(), *attempts(PATTERNS).values()]
_KINDS = [resource.kind for resource in STORED]


def manifests() -> Iterator[bytes]:
    """YAML of the examples: each write with its state."""
    for example in _EXAMPLES:
        yield f"{example.state}\n---\n{example.write}".encode()
    yield CLUSTER.encode()


def reviews() -> Iterator[bytes]:
    """Reviews of the examples, the patterns and the bypasses."""
    yield from map(asked, _ATTEMPTS)
    for example in _EXAMPLES:
        for manifest in _documents(example.write):
            if manifest["kind"] in ("Endpoints", "EndpointSlice"):
                yield body(review(manifest))


def requests() -> Iterator[bytes]:
    """The same as HTTP, and what else one asks the port."""
    for data in reviews():
        head = f"POST /validate?timeout=10s HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n"
        yield head.encode() + b"Content-Type: application/json\r\n\r\n" + data
    yield b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.0\r\n\r\n"
    yield b"POST /validate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


def objects() -> Iterator[bytes]:
    """Objects as JSON, behind a byte that chooses their kind."""
    for manifest in _objects():
        yield bytes([_KINDS.index(manifest["kind"])]) + json.dumps(manifest).encode()


def events() -> Iterator[bytes]:
    """Lines of a watch, behind a byte that chooses the kind."""
    for manifest in _objects():
        for change in ("ADDED", "DELETED", "BOOKMARK"):
            line = json.dumps({"type": change, "object": manifest}).encode()
            yield bytes([_KINDS.index(manifest["kind"])]) + line
    yield b'\x00{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}'


def policies() -> Iterator[bytes]:
    """Policy files of the examples."""
    yield from (example.policy.encode() for example in _EXAMPLES if example.policy)
    yield b"""\
rules: {EG501: warn, external-address: off}
external: {allowedCIDRs: [203.0.113.0/24, 'fd00::/8'], allowedPorts: [443], allowedNames: [a.b]}
namespaces: {shop: {rules: {EG201: off}, external: {forbiddenCIDRs: [0.0.0.0/0]}}}
exemptions: [{reason: r, expires: '2030-01-31', users: [a], groups: [b], namespaces: [c]}]
profiles: [{name: cilium, namespaces: [a]}]
restrictedRight: true
"""


def baselines() -> Iterator[bytes]:
    """Files of known findings."""
    yield b"version: 1\nfindings: []\n"
    yield b"""\
version: 1
findings:
- {rule: "EG505", kind: "EndpointSlice", namespace: "a", name: "b", subject: "127.0.0.1 80/TCP"}
"""


def addresses() -> Iterator[bytes]:
    """IP addresses, spelled in every way."""
    yield from (
        *(
            b"10.0.0.1",
            b"010.0.0.1",
            b"0x7f.0.0.1",
            b"127.1",
            b"2130706433",
            b"1.2.3.4.5",
            b"1.2.3.256",
        ),
        *(
            b"::",
            b"::1",
            b"fe80::1%eth0",
            b"::ffff:10.0.0.1",
            b"::ffff:010.0.0.1",
            b"64:ff9b::a00:1",
        ),
        *(
            b"1:2:3:4:5:6:7:8",
            b"1:2:3:4:5:6:7::",
            b"::2:3:4:5:6:7:8",
            b"1::2::3",
            b"12345::",
            b"::1.2.3.4",
        ),
        *(
            b"2002:a00:1::",
            b"2001:0:a00:1::1",
            b"fe80::5efe:a00:1",
            b" 10.0.0.1",
            b"10.0.0.1\n",
            b"",
        ),
    )


def _objects() -> Iterator[Json]:
    yield from SCENE
    for example in _EXAMPLES:
        yield from _documents(f"{example.state}\n---\n{example.write}")


def _documents(text: str) -> Iterator[Json]:
    for each in text.split("\n---\n"):
        manifest = load_document(each)
        if manifest and manifest["kind"] in _KINDS:
            yield manifest
