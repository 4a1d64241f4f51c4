"""Every page that talks of a cluster is followed in one, with the real helm and kubectl."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chart.egress import Egress
from tests.chart.helm import CHART, NAMESPACE, RELEASE, Helm, binary
from tests.chart.kubelet import Kubelet
from tests.chart.kubelet_logs import PORT
from tests.docs.pages import PAGES, ROOT, Command, steps
from tests.docs.terminal import Terminal
from tests.e2e.api import Api, Json
from tests.e2e.cluster import NODES, eventually, node
from tests.e2e.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PUBLISHED = "oci://ghcr.io/endpoints-guard/charts/endpoints-guard"
FOLLOWED = [
    page
    for page in PAGES
    if any(isinstance(step, Command) and step.needs_cluster for step in steps(page))
]
INSTALLED_ALREADY = {"operations.md"}
# What a test cannot wait for: a minute and a half until a replica has stopped.
QUICKLY = ("--set-json", "drainSeconds=0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster without endpoints-guard."""

    plane: ControlPlane
    admin: Api
    egress: Egress

    @contextmanager
    def running(self, scratch: Path) -> Iterator[Helm]:
        """With somebody to run its Pods, and nothing left of the release in the end."""
        helm = Helm("v4", scratch, self.plane.kubeconfig())
        with Kubelet(self.plane, self.admin, scratch) as kubelet:
            self.egress.route = kubelet.route
            try:
                yield helm
            finally:
                about = (RELEASE, "--namespace", NAMESPACE)
                helm.must("uninstall", *about, "--ignore-not-found", "--wait")
                eventually(lambda: not self.admin.items("Pod", NAMESPACE) or None, 60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Not tmp_path: the path of a socket may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="endpoints-guard-egress-") as scratch,
        Egress.running(Path(scratch)) as egress,
    ):
        selector = egress.configuration(tmp_path_factory.mktemp("plane") / "egress.json")
        flag = f"--egress-selector-config-file={selector}"
        with ControlPlane.start(api_server_args=(flag,)) as plane:
            admin = Api(plane.kubeconfig())
            for number, name in enumerate(NODES):
                made = node(name, number)
                admin.create(made).must()
                endpoint = {"daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}}}
                status = {"status": {**made["status"], **endpoint}}
                admin.patch("Node", "", name, status, subresource="status").must()
            yield Cluster(plane=plane, admin=admin, egress=egress)
            admin.close()


def install(helm: Helm) -> None:
    """As install.md says it."""
    about = (RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace")
    helm.must("install", *about, "--wait", *QUICKLY)


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_can_be_followed(
    page: Path, cluster: Cluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    (programs / "helm").symlink_to(binary("v4"))
    (programs / "kubectl").symlink_to(cluster.plane.binaries.kubectl)
    with cluster.running(tmp_path_factory.mktemp("run")) as helm:
        if page.name in INSTALLED_ALREADY:
            install(helm)
        terminal = Terminal(
            tmp_path,
            {"KUBECONFIG": str(cluster.plane.kubeconfig())},
            programs=programs,
            rewrite=locally,
        )
        for step in steps(page):
            if not (isinstance(step, Command) and step.is_make):
                terminal.follow(page, step)


def locally(words: str) -> str:
    """The command, with the chart of this checkout."""
    words = words.replace(PUBLISHED, "charts/endpoints-guard")
    return f"{words} {' '.join(QUICKLY)}" if words.startswith(("helm i", "helm upg")) else words


def test_either_way_to_break_the_glass_is_undone_by_an_upgrade(
    cluster: Cluster, tmp_path: Path
) -> None:
    """In the page one follows the other; who took the first must come back, too."""
    ignore = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
    about = ("validatingwebhookconfiguration", RELEASE)
    with cluster.running(tmp_path) as helm:
        install(helm)
        cluster.plane.kubectl("patch", *about, "--type", "json", "--patch", json.dumps(ignore))
        upgrade = (
            RELEASE,
            str(CHART),
            "--namespace",
            NAMESPACE,
            "--reset-then-reuse-values",
            "--wait",
        )
        helm.must("upgrade", *upgrade)
        assert webhook(cluster)["failurePolicy"] == "Fail"


def webhook(cluster: Cluster) -> Json:
    found = cluster.admin.get("ValidatingWebhookConfiguration", "", RELEASE).must()
    (only,) = found["webhooks"]
    return dict(only)
