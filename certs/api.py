"""The five requests that this package makes to the API server, as a Protocol and for real.

The adapter speaks plain JSON through an `ApiClient` of the `kubernetes` package, because its models
drop every field they do not know. Writes are patches that carry the resourceVersion they were
decided upon, so that what others own stays as it is, and a write upon stale knowledge is refused.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

REQUEST_TIMEOUT = 10.0
"""Seconds for one request, connecting included."""

_FIELD_MANAGER = "endpoints-guard"
_SECRET = "/api/v1/namespaces/{namespace}/secrets/{name}"  # noqa: S105 - a path
_CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}"


class ApiRefusal(Exception):
    """The API server did not do it. `status` is that of HTTP, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """What a Secret holds, and at which version."""

    resource_version: str
    data: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfiguration:
    """What concerns us of a ValidatingWebhookConfiguration, and at which version."""

    name: str
    resource_version: str
    generation: int
    """Counts the changes of what is configured; labels and annotations do not count."""
    ca_bundles: Mapping[str, bytes]
    """Webhook name -> PEM."""


class Api(Protocol):
    """Each raises ApiRefusal. Status 409 means that somebody else wrote first."""

    def get_secret(self, namespace: str, name: str) -> StoredSecret | None:
        """None when there is no such Secret."""

    def create_secret(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        """409 when it exists already."""

    def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes | None]
    ) -> None:
        """Set these keys, remove those that are None, leave the rest; at this version only."""

    def get_configuration(self, name: str) -> WebhookConfiguration | None:
        """None when there is no such ValidatingWebhookConfiguration."""

    def patch_ca_bundles(
        self, name: str, resource_version: str, ca_bundles: Mapping[str, bytes]
    ) -> None:
        """Set `caBundle` of the webhooks named, and nothing else; at this version only."""

    def server_time(self) -> datetime | None:
        """The API server's clock in its newest answer, if it said."""


class KubernetesApi:
    """`Api` through an authenticated `kubernetes.client.ApiClient`, which the caller configures.

    For one thread: `server_time` is that of the newest answer.
    """

    def __init__(self, api_client: Any) -> None:
        self._client = api_client
        self._server_time: datetime | None = None

    def get_secret(self, namespace: str, name: str) -> StoredSecret | None:
        """None when there is no such Secret. Raises ApiRefusal."""
        found = self._get(_SECRET, namespace=namespace, name=name)
        if found is None:
            return None
        return StoredSecret(
            resource_version=found["metadata"]["resourceVersion"],
            data={key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()},
        )

    def create_secret(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        """Raises ApiRefusal, with 409 when it exists already."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": _FIELD_MANAGER},
            },
            "data": {key: _base64(value) for key, value in data.items()},
        }
        collection = _SECRET.removesuffix("/{name}")
        self._write("POST", collection, "application/json", body, namespace=namespace)

    def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes | None]
    ) -> None:
        """Raises ApiRefusal, with 409 when the Secret is at another version."""
        body = {
            "metadata": {"resourceVersion": resource_version},
            "data": {key: None if value is None else _base64(value) for key, value in data.items()},
        }
        merge = "application/merge-patch+json"
        self._write("PATCH", _SECRET, merge, body, namespace=namespace, name=name)

    def get_configuration(self, name: str) -> WebhookConfiguration | None:
        """None when there is no such ValidatingWebhookConfiguration. Raises ApiRefusal."""
        found = self._get(_CONFIGURATION, name=name)
        if found is None:
            return None
        return WebhookConfiguration(
            name=name,
            resource_version=found["metadata"]["resourceVersion"],
            generation=found["metadata"].get("generation", 0),
            ca_bundles={
                webhook["name"]: base64.b64decode(webhook["clientConfig"].get("caBundle") or "")
                for webhook in found.get("webhooks") or ()
            },
        )

    def patch_ca_bundles(
        self, name: str, resource_version: str, ca_bundles: Mapping[str, bytes]
    ) -> None:
        """Raises ApiRefusal, with 409 when the configuration is at another version."""
        body = {
            "metadata": {"resourceVersion": resource_version},
            # A strategic merge finds list entries by name, and leaves their other fields alone.
            "webhooks": [
                {"name": webhook, "clientConfig": {"caBundle": _base64(pem)}}
                for webhook, pem in ca_bundles.items()
            ],
        }
        merge = "application/strategic-merge-patch+json"
        self._write("PATCH", _CONFIGURATION, merge, body, name=name)

    def server_time(self) -> datetime | None:
        """The API server's clock in its newest answer, if it said."""
        return self._server_time

    def _get(self, path: str, **names: str) -> Any:
        status, answer = self._request("GET", path, {}, None, names)
        if status == 404:
            return None
        return _require_success(status, answer)

    def _write(self, method: str, path: str, content_type: str, body: Any, **names: str) -> None:
        status, answer = self._request(method, path, {"Content-Type": content_type}, body, names)
        _require_success(status, answer)

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        names: dict[str, str],
    ) -> tuple[int, bytes]:
        # Imported here because it takes a third of a second, which only this command needs.
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        request = self._client.param_serialize(
            method,
            path,
            path_params=names,
            query_params=[("fieldManager", _FIELD_MANAGER)] if body is not None else [],
            header_params={"Accept": "application/json", **headers},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=REQUEST_TIMEOUT)
            content = response.read()
        except (ApiException, HTTPError, OSError) as error:
            raise ApiRefusal(0, f"no answer: {error}") from error
        self._server_time = _date(response.headers.get("Date"))
        return response.status, content


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _date(header: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _require_success(status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if 200 <= status <= 299 and isinstance(answer, dict):
        return answer
    message = answer.get("message") if isinstance(answer, dict) else None
    unexplained = f"HTTP status {status}, and no answer of an API server; is a proxy in between?"
    raise ApiRefusal(status, message or unexplained)
