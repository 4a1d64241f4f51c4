"""Gatekeeper with the policy in `policy/`, as a process beside a real API server.

It judges only: no audit, no mutation, no external data, and it logs errors only. Its certificate is
of the same kind as the webhook's, and it terminates TLS itself, as in a cluster.
"""

import http.client
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from tests.bench import programs
from tests.bench.cores import on_cores
from tests.e2e.controlplane import ComponentError, ControlPlane, KubectlError
from tests.e2e.controlplane.files import free_ports
from tests.e2e.controlplane.process import Component, Guard, environment
from tests.e2e.webhook_process import Serving

Json = dict[str, Any]

_POLICY = Path(__file__).parent / "policy"
_NAMESPACE = "gatekeeper-system"
_START_SECONDS = 300.0


def manifests() -> list[Json]:
    """Return the policy: the template with its Rego, what to keep in memory, the constraint."""
    template, *rest = yaml.safe_load_all((_POLICY / "gatekeeper.yaml").read_text(encoding="utf-8"))
    rego = (_POLICY / "endpoints.rego").read_text(encoding="utf-8")
    template["spec"]["targets"][0]["code"][0]["source"]["rego"] = rego
    return [template, *rest]


class Gatekeeper:
    """A running Gatekeeper; make one with `Gatekeeper.running`."""

    def __init__(self, directory: Path, component: Component) -> None:
        self.serving = Serving.issue(directory)
        self._directory = directory
        self._component = component
        self._port, self._health_port, self._metrics_port = free_ports(3)

    @classmethod
    @contextmanager
    def running(cls, plane: ControlPlane, cores: tuple[int, ...]) -> Iterator[Self]:
        """Start it on these cores, give it the policy, and stop it in the end."""
        guardian = Guard()
        try:
            with tempfile.TemporaryDirectory(prefix="endpoints-guard-bench-") as scratch:
                component = Component("gatekeeper", Path(scratch) / "gatekeeper.log", guardian)
                process = cls(Path(scratch), component)
                try:
                    process._start(plane, cores)
                    yield process
                finally:
                    # It waits ten seconds for Services to forget it: there are none here.
                    component.stop(kill=True)
        finally:
            guardian.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}/v1/admit"

    @property
    def pid(self) -> int:
        assert self._component.pid is not None
        return self._component.pid

    @property
    def log(self) -> str:
        return self._component.tail()

    def _start(self, plane: ControlPlane, cores: tuple[int, ...]) -> None:
        _install(plane)
        home = environment(self._directory)
        names = {"POD_NAME": "gatekeeper", "POD_NAMESPACE": _NAMESPACE, "NAMESPACE": _NAMESPACE}
        config = {"KUBECONFIG": str(plane.kubeconfig())}
        program = programs.gatekeeper()
        with on_cores(cores):
            self._component.start(self._command(program), home | names | config)
        self._constrain(plane)
        self._component.wait_healthy(self._not_ready, _START_SECONDS)

    def _command(self, program: Path) -> list[str]:
        return [
            str(program),
            "--operation=webhook",
            # It makes the constraint's kind.
            "--operation=generate",
            "--host=127.0.0.1",
            f"--port={self._port}",
            f"--health-addr=127.0.0.1:{self._health_port}",
            f"--cert-dir={self._directory}",
            "--disable-cert-rotation",
            "--debug-use-fake-pod",
            "--enable-external-data=false",
            "--enable-generator-resource-expansion=false",
            "--log-level=ERROR",
            f"--prometheus-port={self._metrics_port}",
        ]

    def _constrain(self, plane: ControlPlane) -> None:
        """Put the policy in force; its kind is known once Gatekeeper has read the template."""
        kind = "crd/truthfulendpoints.constraints.gatekeeper.sh"
        try:
            for condition in ("create", "condition=Established"):
                plane.kubectl("wait", f"--for={condition}", kind, "--timeout=60s")
        except KubectlError as error:
            raise ComponentError(f"{error}\n{self._component.tail()}") from error
        _apply(plane, manifests()[-1])

    def _not_ready(self) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._health_port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            connection.close()
        return None if response.status == 200 else text


def _install(plane: ControlPlane) -> None:
    """Put Gatekeeper's own resources, and then the policy, into the cluster."""
    crds = [str(file) for file in programs.gatekeeper_crds()]
    plane.kubectl("apply", "--server-side", *(f"--filename={file}" for file in crds))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
    template, sync, _ = manifests()
    for made in (namespace, template, sync):
        _apply(plane, made)


def _apply(plane: ControlPlane, made: Json) -> None:
    plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))
