"""What every answer of the webhook must be, whatever it was asked."""

import http.client
import io
import json
import re
from typing import Any, NamedTuple

from webhook.core.admission import (
    ANNOTATION_LIMIT,
    CAUSES_LIMIT,
    LINE_LIMIT,
    MESSAGE_LINES,
    WARNINGS_LIMIT,
)
from webhook.core.rules import RULES

PROBES = ("/livez", "/readyz")
_ANNOTATION_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""The part of an audit annotation's key that is ours; the API server puts the webhook's name and a
slash before it, and drops what is no qualified name then.
"""
_REMEDIES = {f"{rule.code}: {rule.remedy}" for rule in RULES.values()}
_LONGEST_CAUSE = 3 * 1024


class Answer(NamedTuple):
    """An HTTP response, taken apart by another parser than wrote it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def type(self) -> str:
        return self.headers.get_content_type()


class _Stream:
    """Stands where http.client wants a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def read_answer(data: bytes, method: str = "POST") -> Answer:
    """Bytes of exactly one response."""
    response = http.client.HTTPResponse(_Stream(data), method=method)  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    announced = int(response.headers["Content-Length"])
    assert len(body) == (0 if method == "HEAD" else announced)
    assert data.endswith(b"\r\n\r\n" + body)
    return Answer(response.status, response.headers, body)


def hold(answer: Answer, *, method: str, path: str, body: bytes) -> None:
    """Raise AssertionError if this answer to this request breaks a promise."""
    code = answer.status
    assert code in (200, 503) or 400 <= code < 500, f"HTTP {code}"
    if method == "HEAD" or (method == "OPTIONS" and code == 200):
        return
    if path in PROBES and answer.type == "text/plain":
        assert code in (200, 503)
        answer.body.decode()
        return
    said = _strict_json(answer.body)
    if code == 200:
        _hold_review(said, lax_json(body))
        return
    _hold_status(said, code)
    assert code != 503 or answer.headers["Retry-After"] == "1"


def _strict_json(data: bytes) -> Any:
    """RFC 8259: UTF-8, and no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(data.decode("utf-8"), parse_constant=refuse)


def lax_json(data: bytes) -> Any:
    """JSON in which what nobody reads, such as unknown fields, need not even be text."""
    return json.loads(data.decode("utf-8", "replace"))


def _hold_status(said: Any, code: int) -> None:
    assert (said["kind"], said["apiVersion"], said["status"]) == ("Status", "v1", "Failure")
    assert said["code"] == code
    assert said["reason"].isalpha()
    assert said["message"]


def _hold_review(said: Any, asked: Any) -> None:
    assert said.keys() == {"kind", "apiVersion", "response"}
    assert said["kind"] == "AdmissionReview"
    assert said["apiVersion"] == asked["apiVersion"]
    response = said["response"]
    assert response["uid"] == asked["request"]["uid"]
    assert response["allowed"] is ("status" not in response)
    _hold_denial(response.get("status"))
    warnings = response.get("warnings", [])
    assert len(warnings) <= WARNINGS_LIMIT
    for warning in warnings:
        _hold_line(warning)
    for key, value in response.get("auditAnnotations", {}).items():
        assert _ANNOTATION_NAME.fullmatch(key)
        assert value.isprintable()
        assert len(value) <= ANNOTATION_LIMIT


def _hold_line(line: str) -> None:
    assert line.isprintable()
    assert 0 < len(line) <= LINE_LIMIT


def _hold_denial(status: Any) -> None:
    if status is None:
        return
    assert (status["status"], status["code"]) in (("Failure", 403), ("Failure", 422))
    assert status["reason"] == {403: "Forbidden", 422: "Invalid"}[status["code"]]
    lines = [line for line in status["message"].split("\n") if line not in _REMEDIES]
    assert 0 < len(lines) <= MESSAGE_LINES + 1
    for line in lines:
        _hold_line(line)
    causes = status["details"]["causes"]
    assert causes
    assert sum(len(value) for each in causes for value in each.values()) <= (
        CAUSES_LIMIT + _LONGEST_CAUSE
    )
    for cause in causes:
        assert cause["message"].isprintable()
        assert "reason" not in cause or cause["reason"] in RULES
