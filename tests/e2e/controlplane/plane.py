"""`ControlPlane`: the one thing tests use. Starts, restarts and stops the components in order.

Decides nothing about flags (`commands.py`) and writes no file but through `files.py`.
"""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from . import commands
from .binaries import Binaries, find_or_build
from .commands import Settings
from .files import ADMIN, CONTROLLER_MANAGER, Files, new_layout
from .process import Component, Guard, environment

_START_SECONDS = 90.0


class KubectlError(RuntimeError):
    """kubectl exited with an error; the message is what it said."""


class ControlPlane:
    """A running control plane; make one with `ControlPlane.start`."""

    def __init__(self, directory: Path, binaries: Binaries, settings: Settings) -> None:
        self.directory = directory
        self.binaries = binaries
        self.settings = settings
        self.layout = new_layout(directory)
        self._files = Files(self.layout)
        self._guard = Guard(*([] if _keep() else [directory]))
        self._components = {
            name: Component(name, directory / f"{name}.log", self._guard)
            for name in ("etcd", "kube-apiserver", "kube-controller-manager")
        }

    @classmethod
    @contextmanager
    def start(
        cls, settings: Settings | None = None, *, binaries: Binaries | None = None, **changes: Any
    ) -> Iterator[Self]:
        """Start everything, and stop it in reverse order whatever happens inside.

        `changes` are fields of `Settings`: `ControlPlane.start(feature_gates={"Name": False})`.
        """
        settings = replace(settings or Settings(), **changes)
        binaries = binaries or find_or_build()
        with ExitStack() as stack:
            directory = Path(tempfile.mkdtemp(prefix="endpoints-guard-e2e-"))
            stack.callback(_remove, directory)
            plane = cls(directory, binaries, settings)
            stack.callback(plane._stop)
            plane._start()
            yield plane

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.layout.api_server

    @property
    def ca(self) -> Path:
        """The certificate (PEM) that the API server's certificate is verified with."""
        return self.directory / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """The audit log: one JSON event a line for every write of Endpoints or EndpointSlices."""
        return self.layout.audit_log

    @property
    def pids(self) -> dict[str, int]:
        """The components that run, by name."""
        return {c.name: c.pid for c in self._components.values() if c.pid is not None}

    def log(self, name: str) -> Path:
        """Return the log of "etcd", "kube-apiserver" or "kube-controller-manager"."""
        return self._components[name].log

    def audit_events(self) -> list[dict[str, Any]]:
        """Return the audit events so far, oldest first."""
        if not self.audit_log.exists():
            return []
        lines = self.audit_log.read_text(encoding="utf-8").split("\n")
        # What follows the last line end is nothing, or an event that is being written.
        return [json.loads(line) for line in lines[:-1]]

    def kubeconfig(self, name: str = "admin") -> Path:
        """Return the kubeconfig of "admin" (system:masters) or "controller-manager"."""
        users = {"admin": ADMIN, "controller-manager": (CONTROLLER_MANAGER, ())}
        return self.kubeconfig_for(*users[name])

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig with a client certificate for this user; the same file each time."""
        return self._files.kubeconfig(user, groups)

    def kubectl(
        self,
        *args: str,
        stdin: str = "",
        kubeconfig: Path | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as admin unless told otherwise; with `check` a failure raises."""
        done = subprocess.run(
            [str(self.binaries.kubectl), *args],
            env=environment(self.directory) | {"KUBECONFIG": str(kubeconfig or self.kubeconfig())},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done

    def start_api_server(self, *, feature_gates: Mapping[str, bool] | None = None) -> None:
        """Start the stopped API server: same port, same data, other feature gates if given."""
        if feature_gates is not None:
            self.settings = replace(self.settings, feature_gates=feature_gates)
        command = commands.api_server_command(self.binaries, self.layout, self.settings)
        self._run("kube-apiserver", command, f"{self.layout.api_server}/readyz")

    def stop_api_server(self, *, kill: bool = False) -> None:
        """Stop the API server in order, or with `kill` as a crash would."""
        self._components["kube-apiserver"].stop(kill=kill)

    def start_controller_manager(self) -> None:
        """Start the stopped controller manager."""
        command = commands.controller_manager_command(self.binaries, self.layout, self.settings)
        # The health check is content, and empty, long before there is any controller.
        url = f"{self.layout.controller_manager}/healthz?verbose"
        self._run("kube-controller-manager", command, url, expected="-controller ok")

    def stop_controller_manager(self, *, kill: bool = False) -> None:
        """Stop the controller manager, so that nothing but tests writes endpoints."""
        self._components["kube-controller-manager"].stop(kill=kill)

    def _start(self) -> None:
        self._files.write()
        command = commands.etcd_command(self.binaries, self.layout)
        self._run("etcd", command, f"{self.layout.etcd}/readyz")
        self.start_api_server()
        if self.settings.controllers:
            self.start_controller_manager()

    def _run(self, name: str, command: Sequence[str], health: str, expected: str = "") -> None:
        component = self._components[name]
        component.start(command, environment(self.directory))
        component.wait_healthy(lambda: self._complaint(health, expected), _START_SECONDS)

    def _complaint(self, url: str, expected: str) -> str | None:
        """Return why this health check is not content, or None."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.layout.file("admin.crt"), self.layout.file("admin.key"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=5) as response:
                body = response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return f"{url}: {error.code} {error.read().decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            return f"{url}: {error}"
        return None if expected in body else f"{url}: no {expected!r} in {body!r}"

    def _stop(self) -> None:
        """Stop in reverse order of start; the next goes on even if one will not stop."""
        with ExitStack() as stack:
            stack.callback(self._guard.close)
            for component in self._components.values():
                stack.callback(component.stop)


def _keep() -> bool:
    return os.environ.get("KEEP_E2E", "") not in {"", "0"}


def _remove(directory: Path) -> None:
    if _keep():
        print(f"controlplane: kept {directory}", file=sys.stderr, flush=True)
    else:
        shutil.rmtree(directory, ignore_errors=True)
