"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager.

No container, no kubelet, no scheduler. Tests create Nodes and Pods (with `spec.nodeName`) and patch
`/status` themselves, so every address is exactly what the test says it is. Three things to know:

* Without a kubelet nobody confirms a graceful deletion. Give Pods
  `terminationGracePeriodSeconds: 0` (or delete with `--force --grace-period=0`), or they and their
  namespace stay terminating.
* Controllers that judge Nodes are off (`DISABLED_CONTROLLERS` in `commands.py`): nothing ever
  evicts or collects such Pods.
* `default/kubernetes` advertises a documentation address (`Settings.advertise_address`); clients
  use `ControlPlane.server`.

Nothing in this package knows of the webhook, and it imports no Kubernetes client.

Upgrading: in `gomod/go.mod` set `k8s.io/kubernetes`, the `replace` lines (v1.X.Y becomes v0.X.Y;
the list is the one in the new release's own go.mod) and `go.etcd.io/etcd/server/v3` (of the minor
version which that release requires), then run `go mod tidy` in `gomod/`.
"""

from .binaries import Binaries, BinariesError, find_or_build
from .commands import DEFAULT_CONTROLLERS, Settings
from .plane import ControlPlane, KubectlError
from .process import ComponentError

__all__ = [
    "DEFAULT_CONTROLLERS",
    "Binaries",
    "BinariesError",
    "ComponentError",
    "ControlPlane",
    "KubectlError",
    "Settings",
    "find_or_build",
]
