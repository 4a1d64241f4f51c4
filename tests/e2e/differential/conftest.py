"""A webhook that trusts nobody, a recorder that asks it about every write, and the history."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.api import Api
from tests.e2e.cluster import Namespace, endpoints
from tests.e2e.controlplane import ControlPlane
from tests.e2e.differential.history import History
from tests.e2e.differential.judgement import WebhookClient
from tests.e2e.differential.recorder import Recorder
from tests.e2e.webhook_process import (
    Serving,
    WebhookProcess,
    configuration,
    registered,
    webhook_kubeconfig,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def strict(plane: ControlPlane, admin: Api) -> Iterator[WebhookProcess]:
    """The webhook with an empty list of trusted writers; it judges no namespace by itself."""
    kubeconfig = webhook_kubeconfig(plane, admin)
    with WebhookProcess.running(kubeconfig, policy="trustedWriters: []\n") as process:
        yield process


@pytest.fixture(scope="module")
def recorder(admin: Api, strict: WebhookProcess) -> Iterator[Recorder]:
    """Asks the strict webhook about every write in namespaces that ask for "recorded"."""
    with tempfile.TemporaryDirectory(prefix="endpoints-guard-e2e-") as scratch:
        serving = Serving.issue(Path(scratch))
        with Recorder.running(WebhookClient(strict), serving) as running:
            probe = Namespace(admin, f"probe-recorded-{next(_numbers)}", "recorded")

            def in_force() -> bool:
                admin.create(probe.placed(endpoints("probe")), dry_run=True).must()
                return bool(running.judgements())

            ca = serving.ca.certificate
            given = configuration("recorded", running.url, ca, failure_policy="Ignore")
            with registered(admin, given, in_force):
                yield running


@pytest.fixture(scope="module")
def history(admin: Api) -> Iterator[History]:
    with History.recorded(admin) as running:
        yield running
