"""The webhook as a cluster runs it: a process with a certificate, a kubeconfig and little else.

It reads the cluster as a user of its own, whose ClusterRole is what `webhook.cluster.permissions`
says and nothing more, and is reached by URL. Which namespaces' writes are sent to it says a label.
"""

import base64
import http.client
import re
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from certs.pki import KeyPair, issue_ca, issue_serving
from tests.deploy.dockerfile import allocator
from tests.e2e.api import Api, Json
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import Component, Guard, environment
from webhook.cluster.permissions import INFORMERS

USER = "endpoints-guard"
JUDGED_BY = "e2e.endpoints-guard/judged-by"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A serving certificate for loopback, as files, and the CA that vouches for it."""

    ca: KeyPair
    certificate: Path
    key: Path

    @classmethod
    def issue(cls, directory: Path) -> Self:
        now, lifetime = datetime.now(UTC), timedelta(days=1)
        ca = issue_ca("endpoints-guard e2e webhook CA", now, lifetime)
        pair = issue_serving(ca, ("127.0.0.1", "localhost"), now, lifetime)
        certificate, key = directory / "tls.crt", directory / "tls.key"
        certificate.write_bytes(pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(pair.key)
        return cls(ca=ca, certificate=certificate, key=key)

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca.certificate.decode())


class WebhookProcess:
    """`endpoints-guard serve`, in a process that can be stopped and started again."""

    def __init__(self, directory: Path, guardian: Guard, *flags: str, policy: str = "") -> None:
        self.directory = directory
        self.serving = Serving.issue(directory)
        self._component = Component("webhook", directory / "webhook.log", guardian)
        self._flags = flags
        if policy:
            (directory / "policy.yaml").write_text(policy, encoding="utf-8")
            self._flags = (*flags, "--policy", str(directory / "policy.yaml"))
        self.address: tuple[str, int] = ("", 0)
        self.health_address: tuple[str, int] = ("", 0)

    @classmethod
    @contextmanager
    def running(
        cls,
        kubeconfig: Path,
        *flags: str,
        policy: str = "",
        ready_seconds: float = _START_SECONDS,
    ) -> Iterator[Self]:
        """Start it with this cluster and policy, wait until it is ready, stop it in the end."""
        guardian = Guard()
        try:
            with tempfile.TemporaryDirectory(prefix="endpoints-guard-e2e-webhook-") as scratch:
                words = ("--kubeconfig", str(kubeconfig), *flags)
                process = cls(Path(scratch), guardian, *words, policy=policy)
                try:
                    process.start()
                    process.wait_ready(ready_seconds)
                    yield process
                finally:
                    process.stop()
        finally:
            guardian.close()

    @property
    def url(self) -> str:
        host, port = self.address
        return f"https://{host}:{port}/validate"

    @property
    def pid(self) -> int:
        """The process that was started; the one that serves is its child."""
        assert self._component.pid is not None
        return self._component.pid

    @property
    def log(self) -> str:
        return self._component.log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it; the second time on the port of the first, where the API server looks."""
        listen = f"127.0.0.1:{self.address[1]}"
        command = (
            *(sys.executable, "-m", "webhook", "serve"),
            *("--tls-cert", str(self.serving.certificate), "--tls-key", str(self.serving.key)),
            *("--listen", listen, "--health-listen", "127.0.0.1:0", "--drain-seconds", "0"),
            *("--log-format", "json", *self._flags),
        )
        seen = len(self.log) if self._component.log.exists() else 0
        home = environment(self.directory) | allocator()
        self._component.start(command, home | {"PYTHONPATH": str(Path(__file__).parents[2])})
        self._component.wait_healthy(lambda: self._find_ports(seen), _START_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        self._component.stop(kill=kill)

    def dial(self) -> socket.socket:
        """A TCP connection to the TLS port."""
        return socket.create_connection(self.address, timeout=10)

    def dial_tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """The same, with the handshake done."""
        context = context or self.serving.client_context()
        return context.wrap_socket(self.dial(), server_hostname=self.address[0])

    def wait_ready(self, seconds: float = _START_SECONDS) -> None:
        self._component.wait_healthy(self._not_ready, seconds)

    def get(self, where: str) -> tuple[int, str]:
        """Ask the plain port: `/readyz`, `/metrics`."""
        connection = http.client.HTTPConnection(*self.health_address, timeout=10)
        try:
            connection.request("GET", where)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over everything that has these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            wanted = all(f'{key}="{value}"' in line for key, value in labels.items())
            if re.match(rf"{name}(_total)?[ {{]", line) and wanted:
                total += float(line.rpartition(" ")[2])
        return total

    def _find_ports(self, seen: int) -> str | None:
        line = re.search(
            r'"listen":"([^"]*):(\d+)","health_listen":"([^"]*):(\d+)"', self.log[seen:]
        )
        if line is None:
            return "it does not say where it listens"
        self.address = line[1], int(line[2])
        self.health_address = line[3], int(line[4])
        return None

    def _not_ready(self) -> str | None:
        try:
            status, text = self.get("/readyz")
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        return None if status == 200 else text


def webhook_kubeconfig(plane: ControlPlane, admin: Api) -> Path:
    """The kubeconfig of a user who may do what the webhook needs, and nothing else."""
    rules = [
        {"apiGroups": [p.api_group], "resources": list(p.resources), "verbs": list(p.verbs)}
        for p in INFORMERS
    ]
    grant(admin, USER, {"kind": "User", "name": USER}, rules)
    return plane.kubeconfig_for(USER)


TENANTS = "tenants"
"""A group without trust whose members may write endpoints, as whoever administrates a namespace."""


def writer(plane: ControlPlane, admin: Api, user: str) -> Path:
    """The kubeconfig of somebody among the `TENANTS`."""
    verbs = ["create", "update", "patch", "delete", "get", "list"]
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs}
        for group, resource in (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))
    ]
    grant(admin, TENANTS, {"kind": "Group", "name": TENANTS}, rules)
    return plane.kubeconfig_for(user, (TENANTS,))


def grant(admin: Api, name: str, subject: Json, rules: list[Json]) -> None:
    """Make a ClusterRole of these rules and give it to a user or group, once."""
    api = "rbac.authorization.k8s.io"
    role = {"kind": "ClusterRole", "name": name, "apiGroup": api}
    for kind, rest in (
        ("ClusterRole", {"rules": rules}),
        ("ClusterRoleBinding", {"roleRef": role, "subjects": [{**subject, "apiGroup": api}]}),
    ):
        made: Json = {"apiVersion": f"{api}/v1", "kind": kind, "metadata": {"name": name}, **rest}
        answer = admin.create(made)
        assert answer.ok or answer.status == 409, answer.message


def configuration(
    name: str, url: str, ca: bytes, *, failure_policy: str = "Fail", timeout_seconds: int = 10
) -> Json:
    """A registration for all writes in namespaces labelled `JUDGED_BY`/NAME, whoever writes."""

    def rule(group: str, resource: str) -> Json:
        return {
            "apiGroups": [group],
            "apiVersions": ["v1"],
            "resources": [resource],
            "operations": ["CREATE", "UPDATE", "DELETE"],
        }

    webhook: dict[str, Any] = {
        "name": f"{name}.endpoints-guard.example",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(ca).decode()},
        "rules": [rule("", "endpoints"), rule("discovery.k8s.io", "endpointslices")],
        "namespaceSelector": {"matchLabels": {f"{JUDGED_BY}-{name}": "yes"}},
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": timeout_seconds,
        "admissionReviewVersions": ["v1"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"endpoints-guard-e2e-{name}"},
        "webhooks": [webhook],
    }


@contextmanager
def registered(admin: Api, given: Json, in_force: Callable[[], bool]) -> Iterator[None]:
    """Register a webhook, wait until the API server asks it, and take it back in the end."""
    admin.create(given).must()
    try:
        deadline = time.monotonic() + 20
        while not in_force():
            assert time.monotonic() < deadline, "the API server does not ask the webhook"
            time.sleep(0.1)
        yield
    finally:
        admin.delete(given["kind"], "", given["metadata"]["name"]).must()
