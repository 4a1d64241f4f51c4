"""One control plane for the whole run, and a webhook with the default policy in front of it."""

import itertools
import re
from collections.abc import Iterator

import pytest

from tests.e2e.api import Api
from tests.e2e.cluster import NODES, Namespace, NewNamespace, node, refuses
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import WebhookProcess, configuration, registered, webhook_kubeconfig

_summaries: list[str] = []
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def summary() -> list[str]:
    """Lines to show at the end of the run, whatever flags pytest was given."""
    return _summaries


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _summaries:
        terminalreporter.section("end to end")
        for line in _summaries:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane.start() as running:
        yield running


@pytest.fixture(scope="session")
def admin(plane: ControlPlane) -> Iterator[Api]:
    """The API server as system:masters, with the Nodes on which tests run their Pods."""
    api = Api(plane.kubeconfig())
    for number, name in enumerate(NODES):
        made = node(name, number)
        api.create(made).must()
        api.patch("Node", "", name, {"status": made["status"]}, subresource="status").must()
    yield api
    api.close()


@pytest.fixture(scope="session")
def webhook(plane: ControlPlane, admin: Api) -> Iterator[WebhookProcess]:
    """The webhook with the default policy; it judges namespaces that ask for "default"."""
    with WebhookProcess.running(webhook_kubeconfig(plane, admin)) as process:
        probe = Namespace(admin, "probe-default", "default")
        given = configuration("default", process.url, process.serving.ca.certificate)
        with registered(admin, given, lambda: refuses(probe)):
            yield process


@pytest.fixture
def new_namespace(admin: Api, request: pytest.FixtureRequest) -> NewNamespace:
    """Makes namespaces named after the test."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")

    def made(*judged_by: str) -> Namespace:
        return Namespace(admin, f"{stem}-{next(_numbers)}", *judged_by)

    return made
