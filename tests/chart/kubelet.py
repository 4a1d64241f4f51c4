"""The hand of a kubelet: runs the containers of the chart's Pods as processes, says how they do.

What runs is what the Pod in the API server says: its command, arguments, environment, ConfigMaps,
and a token of its service account. Only what a container would have for itself is replaced: ports,
and the paths of mounted files; and a kubeconfig takes the place of the in-cluster configuration.
"""

import base64
import http.client
import json
import re
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.chart.helm import NAMESPACE
from tests.chart.kubelet_logs import PORT, KubeletLogs
from tests.e2e.api import Api, Json, path
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import Component, Guard, environment

_ROOT = Path(__file__).parents[2]
_IDENTITY = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(slots=True, kw_only=True)
class Container:
    """The one container of a Pod, as a process."""

    pod: str
    ip: str
    component: Component
    serves: bool
    """It is a replica of the webhook."""
    stays: bool
    """It is probed, and not expected to end."""
    ready: bool = False
    ended: bool = False
    ports: list[tuple[str, int]] = field(default_factory=list)

    @property
    def log(self) -> str:
        return self.component.log.read_text(encoding="utf-8", errors="replace")

    def probe(self) -> bool:
        """The readiness probe."""
        expected = 2 if self.serves else 1
        found = re.findall(r'listen":"127\.0\.0\.1:(\d+)"', self.log)
        if len(found) < expected:
            return False
        self.ports = [("127.0.0.1", int(port)) for port in found[-expected:]]
        connection = http.client.HTTPConnection(*self.ports[-1], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Kubelet:
    """Looks after the Pods of the release's namespace until told to stop."""

    def __init__(self, plane: ControlPlane, api: Api, directory: Path) -> None:
        self._plane, self._api, self._directory = plane, api, directory
        self._guard = Guard()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._turn = 0
        self.containers: dict[str, Container] = {}
        self.logs: dict[str, str] = {}
        self.asleep = False
        """While true, containers that die stay dead, and none is started."""
        self.failure: BaseException | None = None
        self._served_logs = KubeletLogs(self._log)

    def __enter__(self) -> Self:
        self._served_logs.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        for container in self.containers.values():
            container.component.stop(kill=True)
        self._guard.close()
        self._served_logs.__exit__()
        if self.failure is not None:
            raise self.failure

    def route(self, asked: str) -> tuple[str, int] | None:
        """As a kube-proxy: one of the ready replicas, for the Service's own cluster IP.

        And as a node: its kubelet.
        """
        if asked.endswith(f":{PORT}"):
            return self._served_logs.address
        service = self._api.get("Service", NAMESPACE, NAMESPACE).body
        if asked != f"{service.get('spec', {}).get('clusterIP')}:443":
            return None
        ready = [c for c in self.replicas if c.ready and c.component.pid]
        self._turn += 1
        return ready[self._turn % len(ready)].ports[0] if ready else None

    @property
    def replicas(self) -> list[Container]:
        """Those of the webhook."""
        return [c for c in tuple(self.containers.values()) if c.serves]

    def _log(self, pod: str) -> str | None:
        container = self.containers.get(pod)
        return container.log if container else self.logs.get(pod)

    def _run(self) -> None:
        try:
            while not self._over.wait(0.1):
                self._round()
        except BaseException as failure:
            self.failure = failure

    def _round(self) -> None:
        answer = self._api.call("GET", path("Pod", NAMESPACE))
        pods = {pod["metadata"]["name"]: pod for pod in answer.body.get("items") or []}
        for name, pod in pods.items():
            if pod["metadata"].get("deletionTimestamp"):
                self._end(name)
                self._api.delete("Pod", NAMESPACE, name)
            elif name not in self.containers:
                if not self.asleep:
                    self._start(name, pod)
            else:
                self._look_after(self.containers[name])
        for name in self.containers.keys() - pods.keys():
            self._end(name)

    def _end(self, name: str) -> None:
        container = self.containers.pop(name, None)
        if container is not None:
            container.ready = False
            container.component.stop()
            self.logs[name] = container.log

    def _start(self, name: str, pod: Json) -> None:
        target = {"kind": "Node", "name": "node-1"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
        self._api.call(
            "POST", path("Pod", NAMESPACE, name, "binding"), {**binding, "target": target}
        ).must()
        home = self._directory / name
        home.mkdir()
        command, variables = self._command(pod, home)
        component = Component(name, self._directory / f"{name}.log", self._guard)
        component.start(command, environment(home) | {"PYTHONPATH": str(_ROOT)} | variables)
        number = len(self.containers) + len(self.logs) + 1
        self.containers[name] = Container(
            pod=name,
            ip=f"10.65.0.{number}",
            component=component,
            serves="serve" in command,
            stays="serve" in command or "--watch" in command,
        )

    def _command(self, pod: Json, home: Path) -> tuple[list[str], dict[str, str]]:
        (container,) = pod["spec"]["containers"]
        url = urlsplit(self._plane.server)
        variables = {each["name"]: each["value"] for each in container.get("env", ())}
        variables |= {
            "KUBERNETES_SERVICE_HOST": str(url.hostname),
            "KUBERNETES_SERVICE_PORT": str(url.port),
        }
        kubeconfig = self._identity(pod["spec"]["serviceAccountName"], home)
        self._mount(pod, container, home)
        words = [*container["command"], *container.get("args", ())]
        if words[0] == "python3":
            variables["SERVICE_ACCOUNT"] = variables["SERVICE_ACCOUNT"].replace(
                _IDENTITY, str(home / "identity")
            )
            return [sys.executable, *words[1:]], variables
        assert words[0] == "endpoints-guard"
        words = [re.sub(r"listen=0\.0\.0\.0:\d+$", "listen=127.0.0.1:0", word) for word in words]
        words = [word.replace("=/etc/", f"={home}/etc/") for word in words]
        flags = ["--kubeconfig", str(kubeconfig)]
        return [sys.executable, "-m", "webhook", *words[1:], *flags], variables

    def _identity(self, account: str, home: Path) -> Path:
        """What is mounted for a service account, and the same as a kubeconfig."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        where = path("ServiceAccount", NAMESPACE, account, "token")
        token = self._api.call("POST", where, request).must()["status"]["token"]
        ca = self._plane.ca.read_bytes()
        (home / "identity").mkdir()
        (home / "identity" / "token").write_text(token, encoding="utf-8")
        (home / "identity" / "ca.crt").write_bytes(ca)
        cluster = {
            "server": self._plane.server,
            "certificate-authority-data": base64.b64encode(ca).decode(),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": account}}],
            "current-context": "e2e",
        }
        file = home / "kubeconfig"
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    def _mount(self, pod: Json, container: Json, home: Path) -> None:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for mount in container.get("volumeMounts", ()):
            if name := volumes[mount["name"]].get("configMap", {}).get("name"):
                folder = home / mount["mountPath"].lstrip("/")
                folder.mkdir(parents=True)
                for key, text in self._api.get("ConfigMap", NAMESPACE, name).must()["data"].items():
                    (folder / key).write_text(text, encoding="utf-8")

    def _look_after(self, container: Container) -> None:
        if container.ended:
            return
        if container.component.pid is None:
            self._has_ended(container)
        elif container.stays and not container.ready and container.probe():
            self._say(container, "Running", ready=True)
            container.ready = True

    def _has_ended(self, container: Container) -> None:
        container.ready = False
        container.ended = True
        self.logs[container.pod] = container.log
        process = container.component._process
        good = process is not None and process.returncode == 0
        self._say(container, "Succeeded" if good else "Failed", ready=False)

    def _say(self, container: Container, phase: str, *, ready: bool) -> None:
        status = {
            "phase": phase,
            "podIP": container.ip,
            "podIPs": [{"ip": container.ip}],
            "conditions": [
                {"type": kind, "status": str(ready)} for kind in ("Ready", "ContainersReady")
            ],
        }
        with suppress(AssertionError):  # it may have been deleted meanwhile
            self._api.patch(
                "Pod", NAMESPACE, container.pod, {"status": status}, subresource="status"
            ).must()
