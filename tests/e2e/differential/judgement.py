"""Asks a webhook directly, as the API server does, and keeps what it says."""

import http.client
import json
import threading
import time
from dataclasses import dataclass

from tests.e2e.api import Json
from tests.e2e.webhook_process import WebhookProcess

PATIENCE = 8.0
"""Seconds in which the webhook may put its answer off, as the API server would let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A write, and what the webhook said of it. Times are of `time.monotonic`."""

    request: Json
    """`request` of the AdmissionReview."""
    arrived: float
    """When the API server asked first; for a late judgement, too."""
    asked: float
    answered: float
    late: bool
    status: int
    """HTTP status of the answer."""
    response: Json

    @property
    def allowed(self) -> bool:
        return bool(self.response.get("allowed"))

    @property
    def causes(self) -> list[Json]:
        """What it was refused for; nothing if it was allowed."""
        details = self.response.get("status", {}).get("details", {})
        return list(details.get("causes") or [])

    @property
    def rules(self) -> set[str]:
        return {cause["reason"] for cause in self.causes}

    @property
    def warned(self) -> set[str]:
        """The rules for which it was only warned."""
        lines: list[str] = self.response.get("warnings") or []
        return {line.removeprefix("endpoints-guard: ").split(" ")[0] for line in lines}

    @property
    def writer(self) -> str:
        return str(self.request["userInfo"]["username"])

    @property
    def kind(self) -> str:
        return str(self.request["kind"]["kind"])

    @property
    def written(self) -> Json:
        """The object, complete with its kind."""
        return {**self.request["object"], "kind": self.kind}

    def body(self) -> bytes:
        """The review, to be judged again."""
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return json.dumps({**kind, "request": self.request}).encode()


class WebhookClient:
    """A webhook, asked from any number of threads."""

    def __init__(self, process: WebhookProcess) -> None:
        self._process = process
        self._context = process.serving.client_context()
        self._local = threading.local()

    def judge(self, body: bytes, arrived: float | None = None) -> Judgement:
        """What it says of this review now; it is late if it had arrived before."""
        asked = time.monotonic()
        status, answer = self._ask(body, asked + PATIENCE)
        return Judgement(
            request=json.loads(body)["request"],
            arrived=asked if arrived is None else arrived,
            asked=asked,
            answered=time.monotonic(),
            late=arrived is not None,
            status=status,
            response=answer.get("response", {}),
        )

    def close(self) -> None:
        """Close the connection of this thread."""
        self._connection().close()

    def _ask(self, body: bytes, deadline: float) -> tuple[int, Json]:
        """The answer; what is put off is asked again, as the API server does."""
        while True:
            left = max(1, round(deadline - time.monotonic()))
            status, answer = self._post(body, f"/validate?timeout={left}s")
            if status != 503 or time.monotonic() + 1 > deadline:
                return status, answer
            time.sleep(1)

    def _post(self, body: bytes, where: str) -> tuple[int, Json]:
        connection = self._connection()
        try:
            connection.request("POST", where, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except BaseException:
            connection.close()  # and opened again by the next request
            raise

    def _connection(self) -> http.client.HTTPSConnection:
        """Each thread has one."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPSConnection(
                *self._process.address, context=self._context, timeout=PATIENCE + 5
            )
        connection: http.client.HTTPSConnection = self._local.connection
        return connection
