"""The directory of one control plane: certificates, keys, kubeconfigs, audit policy, and its ports.

Starts nothing.
"""

import base64
import contextlib
import json
import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from . import commands, pki
from .commands import Layout

ADMIN = ("kubernetes-admin", ("system:masters",))
CONTROLLER_MANAGER = "system:kube-controller-manager"


class Files:
    """Writes what the components and their users need, and issues identities on demand."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._directory = layout.directory
        self._authority = pki.Authority()
        self._kubeconfigs: dict[tuple[str, tuple[str, ...]], Path] = {}

    def write(self) -> None:
        """Write everything that the command lines in `commands.py` name."""
        (self._directory / "ca.crt").write_bytes(self._authority.certificate)
        for name in ("api-server", "controller-manager"):
            self._authority.server(commands.SERVER_NAMES).write(self._directory, name)
        self._authority.client(*ADMIN).write(self._directory, "admin")
        pki.write_service_account_keys(self._directory)
        policy = self._directory / "audit-policy.json"
        policy.write_text(commands.audit_policy(), encoding="utf-8")
        self._write_kubeconfig("controller-manager", CONTROLLER_MANAGER, ())

    def kubeconfig(self, user: str, groups: Sequence[str]) -> Path:
        """Return the kubeconfig of this identity; the same file each time."""
        key = (user, tuple(groups))
        if key not in self._kubeconfigs:
            name = f"user-{len(self._kubeconfigs)}"
            self._kubeconfigs[key] = self._write_kubeconfig(name, *key)
        return self._kubeconfigs[key]

    def _write_kubeconfig(self, name: str, user: str, groups: Sequence[str]) -> Path:
        pair = self._authority.client(user, groups)
        config = _kubeconfig(self._layout.api_server, self._authority.certificate, user, pair)
        path = self._directory / f"{name}.kubeconfig"
        pki.write_private(path, config.encode())
        return path


def _kubeconfig(server: str, ca: bytes, user: str, pair: pki.Pair) -> str:
    """Return a kubeconfig with everything inside it. JSON is YAML."""
    credentials = {
        "client-certificate-data": base64.b64encode(pair.certificate).decode(),
        "client-key-data": base64.b64encode(pair.key).decode(),
    }
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
        "current-context": "e2e",
    }
    return json.dumps(config, indent=2)


def new_layout(directory: Path) -> Layout:
    """Choose the ports of a new control plane."""
    etcd, peer, api_server, manager = free_ports(4)
    return Layout(
        directory=directory,
        etcd_port=etcd,
        etcd_peer_port=peer,
        api_server_port=api_server,
        controller_manager_port=manager,
    )


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on.

    From below the range that kernels take for outgoing connections: a port of that range could be
    taken by anybody's connection while the API server is stopped, which must get the same again.
    """
    ports: list[int] = []
    with ExitStack() as stack:
        for port in random.sample(range(20000, 30000), 1000):
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError("no free port between 20000 and 30000 on loopback")
