"""One user's way to the API server: JSON in, status and JSON out, through the kubernetes client.

A refusal is an answer here, not an exception; `Answer.body` is then the API's own Status.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config
from urllib3.exceptions import HTTPError

Json = dict[str, Any]

_SECONDS = 40.0
_GROUPS = {
    "EndpointSlice": "/apis/discovery.k8s.io/v1",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1",
    "Role": "/apis/rbac.authorization.k8s.io/v1",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1",
    "SubjectAccessReview": "/apis/authorization.k8s.io/v1",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1",
    "Report": "/apis/openreports.io/v1alpha1",
    "ClusterReport": "/apis/openreports.io/v1alpha1",
    "PolicyReport": "/apis/wgpolicyk8s.io/v1alpha2",
    "ClusterPolicyReport": "/apis/wgpolicyk8s.io/v1alpha2",
}
_PLURALS = {"Endpoints": "endpoints"}
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Json

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def rules(self) -> set[str]:
        """The rules for which a webhook of ours has refused the write."""
        return {cause["reason"] for cause in self.causes if "reason" in cause}

    @property
    def causes(self) -> list[Json]:
        return list((self.body.get("details") or {}).get("causes") or [])

    def must(self) -> Json:
        """The body of a success; anything else fails the test with what the server said."""
        assert self.ok, f"{self.status}: {self.message}"
        return self.body


class Api:
    """The API server as one user sees it; from any number of threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client: ApiClient = new_client_from_config(str(kubeconfig), persist_config=False)

    def close(self) -> None:
        self._client.rest_client.close()

    def create(self, given: Json, *, dry_run: bool = False) -> Answer:
        kind, namespace, _ = identity(given)
        return self.call("POST", path(kind, namespace), given, query=_dry_run(dry_run))

    def replace(self, given: Json, *, dry_run: bool = False) -> Answer:
        return self.call("PUT", path(*identity(given)), given, query=_dry_run(dry_run))

    def patch(
        self, kind: str, namespace: str, name: str, change: Json, *, subresource: str = ""
    ) -> Answer:
        where = path(kind, namespace, name, subresource)
        return self.call("PATCH", where, change, content_type=MERGE_PATCH)

    def delete(self, kind: str, namespace: str, name: str, **options: Any) -> Answer:
        """`options` are fields of DeleteOptions; graceful only if they say so."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, **options}
        return self.call("DELETE", path(kind, namespace, name), body)

    def get(self, kind: str, namespace: str, name: str) -> Answer:
        return self.call("GET", path(kind, namespace, name))

    def collection(self, kind: str, namespace: str = "", **query: str) -> Json:
        """The list as it comes: no kind in the items, and a resourceVersion of its own."""
        return self.call("GET", path(kind, namespace), query=query).must()

    def items(self, kind: str, namespace: str = "", **query: str) -> list[Json]:
        """The objects of a namespace, or of all."""
        found = self.collection(kind, namespace, **query)["items"] or []
        version = _version(kind)
        return [{"apiVersion": version, "kind": kind, **item} for item in found]

    def call(
        self,
        method: str,
        where: str,
        body: Json | None = None,
        *,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        response = self._client.call_api(
            method, self._url(where, query or {}), headers, body, _request_timeout=_SECONDS
        )
        return Answer(status=response.status, body=json.loads(response.read() or b"{}"))

    def watch(self, kind: str, resource_version: str) -> "Watch":
        """Every event of a kind after this version."""
        query = {"watch": "1", "resourceVersion": resource_version, "timeoutSeconds": "600"}
        response = self._client.call_api("GET", self._url(path(kind), query), {})
        assert response.status == 200, response.read()
        return Watch(response.response)

    def _url(self, where: str, query: Mapping[str, str]) -> str:
        base = f"{self._client.configuration.host}{where}"
        return f"{base}?{urlencode(query)}" if query else base


class Watch:
    """A stream of watch events, which another thread may end."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._ended = False

    def __iter__(self) -> Iterator[Json]:
        try:
            for line in self._response:
                yield json.loads(line)
        except HTTPError:
            assert self._ended, "the watch broke off"

    def end(self) -> None:
        self._ended = True
        self._response.shutdown()


def path(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Where objects of a kind are."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    words = "/".join(filter(None, (plural, name, subresource)))
    return f"{_GROUPS.get(kind, '/api/v1')}{scope}/{words}"


def identity(given: Json) -> tuple[str, str, str]:
    """Kind, namespace and name."""
    metadata = given["metadata"]
    return given["kind"], metadata.get("namespace", ""), metadata.get("name", "")


def _version(kind: str) -> str:
    return _GROUPS.get(kind, "/api/v1").removeprefix("/apis/").removeprefix("/api/")


def _dry_run(wanted: bool) -> dict[str, str]:
    return {"dryRun": "All"} if wanted else {}
