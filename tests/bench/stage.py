"""Where everything is measured that needs a real API server: it, its objects, and both webhooks."""

import base64
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tests.bench import programs
from tests.bench.bulk import RenderedPod
from tests.bench.cores import Cores, on_cores
from tests.bench.gatekeeper import Gatekeeper
from tests.bench.vegeta import Request, Trust, Vegeta
from tests.e2e.api import Api, path
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import WebhookProcess, webhook_kubeconfig

Json = dict[str, Any]

_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything, running."""

    plane: ControlPlane
    api: Api
    vegeta: Vegeta
    cores: Cores
    folder: Path
    """For files that go with it."""
    trust: Trust
    """Of the API server, as its administrator."""

    @classmethod
    @contextmanager
    def set(cls, cores: Cores) -> Iterator["Stage"]:
        """Start the API server. No controller runs: nothing but the load writes."""
        # Without its controller there is no service account for a Pod to be made with.
        flags = ("--disable-admission-plugins=ServiceAccount", "--audit-log-path=/dev/null")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eg-bench-")))
            with on_cores(cores.rest):
                started = ControlPlane.start(controllers=(), api_server_args=flags)
                plane = stack.enter_context(started)
            api = Api(plane.kubeconfig())
            stack.callback(api.close)
            client = plane.directory / "admin.crt", plane.directory / "admin.key"
            yield cls(
                plane=plane,
                api=api,
                vegeta=Vegeta(programs.vegeta(), cores.rest, folder),
                cores=cores,
                folder=folder,
                trust=Trust(authority=plane.ca, client=client),
            )

    def populate(self, *batches: Sequence[Json]) -> None:
        """Create these objects, batch after batch, with the status that is in them."""
        for batch in batches:
            self._send("POST", [(collection(each), each) for each in batch])
            running = [each for each in batch if each["kind"] == "Pod"]
            if running:
                self._send(
                    "PATCH", [(f"{place(p)}/status", {"status": p["status"]}) for p in running]
                )

    def store(self, pods: Iterable[RenderedPod]) -> None:
        """Put Pods into etcd, past the API server, which takes a minute to create so many."""
        url = f"{self.plane.layout.etcd}/v3/kv/txn"
        requests = [
            Request(method="POST", url=url, body=json.dumps({"success": puts}).encode())
            for puts in _in_batches(map(_put, pods))
        ]
        self.vegeta.send_once(requests, self.trust, workers=2)

    def stored_pods(self) -> list[Json]:
        """Return all Pods as they are stored."""
        return self.api.items("Pod")

    @contextmanager
    def webhook(self) -> Iterator[WebhookProcess]:
        """Start the webhook with this cluster."""
        kubeconfig = webhook_kubeconfig(self.plane, self.api)
        with on_cores(self.cores.server), WebhookProcess.running(kubeconfig) as process:
            yield process

    @contextmanager
    def gatekeeper(self) -> Iterator[Gatekeeper]:
        """Start Gatekeeper with this cluster."""
        with Gatekeeper.running(self.plane, self.cores.server) as process:
            yield process

    def _send(self, method: str, made: Sequence[tuple[str, Json]]) -> None:
        patch = method == "PATCH"
        requests = [
            Request(
                method=method,
                url=f"{self.plane.server}{where}",
                body=json.dumps(body).encode(),
                content_type=f"application/{'merge-patch+' if patch else ''}json",
            )
            for where, body in made
        ]
        self.vegeta.send_once(requests, self.trust, workers=_WORKERS)


def _put(pod: RenderedPod) -> Json:
    """Return etcd's request for a key and its value, both in base64."""
    fields = {"key": f"/registry/pods/{pod.namespace}/{pod.name}", "value": pod.stored}
    return {
        "requestPut": {
            name: base64.b64encode(text.encode()).decode() for name, text in fields.items()
        }
    }


def _in_batches(puts: Iterable[Json]) -> Iterator[list[Json]]:
    """Yield as many as etcd takes in a transaction: 128, and 1.5 MiB."""
    left = iter(puts)
    while batch := list(islice(left, 100)):
        yield batch


def collection(of: Json) -> str:
    """Return where objects like this one are created."""
    return path(of["kind"], of["metadata"].get("namespace", ""))


def place(of: Json) -> str:
    """Return where this object is."""
    return path(of["kind"], of["metadata"].get("namespace", ""), of["metadata"]["name"])
