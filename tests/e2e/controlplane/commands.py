"""The command line of each component, as values: what to run, with which flags, and why.

Starts nothing and writes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .binaries import Binaries

DISABLED_CONTROLLERS = (
    # Without kubelets every Node looks dead; these would taint it and evict or collect its Pods.
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "device-taint-eviction-controller",
    "pod-garbage-collector-controller",
    # Annotates Nodes for kubelets, which nobody reads here.
    "ttl-controller",
    # Waits for volumes which no kubelet mounts.
    "persistentvolume-attach-detach-controller",
)
DEFAULT_CONTROLLERS = ("*", *(f"-{name}" for name in DISABLED_CONTROLLERS))

SERVER_NAMES = (
    *("localhost", "127.0.0.1", "::1", "10.96.0.1", "fd00:10:96::1"),
    *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may choose about its control plane."""

    controllers: Sequence[str] = DEFAULT_CONTROLLERS
    """For `--controllers`: names, "*" for all that are on by default, "-NAME" for all but this.
    Empty: no controller manager is started."""
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """For API server and controller manager, such as {"StrictIPCIDRValidation": False}."""
    api_server_args: Sequence[str] = ()
    """More flags; a flag given here replaces one of the same name below."""
    controller_manager_args: Sequence[str] = ()
    advertise_address: str = "192.0.2.10"
    """The address in `default/kubernetes`. From a documentation range: loopback is not allowed
    there, and a real address of the machine would make tests depend on the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the files and ports of one control plane are."""

    directory: Path
    etcd_port: int
    etcd_peer_port: int
    api_server_port: int
    controller_manager_port: int

    @property
    def etcd(self) -> str:
        """The URL of etcd."""
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def api_server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.api_server_port}"

    @property
    def controller_manager(self) -> str:
        """The URL of the controller manager's health checks."""
        return f"https://127.0.0.1:{self.controller_manager_port}"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON event a line."""
        return self.directory / "audit.log"

    def file(self, name: str) -> str:
        """Return the path of a file, as an argument."""
        return str(self.directory / name)


def etcd_command(binaries: Binaries, layout: Layout) -> list[str]:
    """Return etcd's command line; fsync is off, the data does not outlive the test."""
    peer = f"http://127.0.0.1:{layout.etcd_peer_port}"
    return [
        str(binaries.etcd),
        "--name=e2e",
        f"--data-dir={layout.file('etcd')}",
        f"--listen-client-urls={layout.etcd}",
        f"--advertise-client-urls={layout.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=e2e={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server_command(binaries: Binaries, layout: Layout, settings: Settings) -> list[str]:
    """Return the API server's command line: defaults wherever possible, as clusters run it."""
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers={layout.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.api_server_port}",
        f"--advertise-address={settings.advertise_address}",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
        f"--tls-cert-file={layout.file('api-server.crt')}",
        f"--tls-private-key-file={layout.file('api-server.key')}",
        f"--client-ca-file={layout.file('ca.crt')}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={layout.file('sa.key')}",
        f"--service-account-key-file={layout.file('sa.pub')}",
        f"--audit-policy-file={layout.file('audit-policy.json')}",
        f"--audit-log-path={layout.audit_log}",
        # "blocking" is the default and said here because tests rely on it: when a request has been
        # answered, its event is in the file.
        "--audit-log-mode=blocking",
        "--allow-privileged=true",
        # By default a stopping API server waits a minute for watches to end by themselves.
        "--shutdown-watch-termination-grace-period=1s",
        *_feature_gates(settings),
        *settings.api_server_args,
    ]


def controller_manager_command(binaries: Binaries, layout: Layout, settings: Settings) -> list[str]:
    """Return the controller manager's command line: one identity per controller, as in clusters."""
    return [
        str(binaries.kube_controller_manager),
        f"--kubeconfig={layout.file('controller-manager.kubeconfig')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.controller_manager_port}",
        f"--tls-cert-file={layout.file('controller-manager.crt')}",
        f"--tls-private-key-file={layout.file('controller-manager.key')}",
        f"--root-ca-file={layout.file('ca.crt')}",
        f"--service-account-private-key-file={layout.file('sa.key')}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        # It starts by making some thirty service accounts: 4 s with the default, 20 a second.
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        f"--controllers={','.join(settings.controllers)}",
        *_feature_gates(settings),
        *settings.controller_manager_args,
    ]


def audit_policy() -> str:
    """Return the audit policy: who wrote endpoints and slices, without bodies; nothing else."""
    writes = {
        "level": "Metadata",
        "verbs": ["create", "update", "patch", "delete", "deletecollection"],
        "resources": [
            {"group": "", "resources": ["endpoints"]},
            {"group": "discovery.k8s.io", "resources": ["endpointslices"]},
        ],
    }
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [writes, {"level": "None"}],
    }
    return json.dumps(policy, indent=2)


def _feature_gates(settings: Settings) -> list[str]:
    gates = (f"{name}={str(on).lower()}" for name, on in settings.feature_gates.items())
    return [f"--feature-gates={words}"] if (words := ",".join(gates)) else []
