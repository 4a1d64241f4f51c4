"""The flags by which a command finds its cluster: kubectl's own."""

from collections.abc import Callable
from typing import Any, Final

import click

from certs.api import KubernetesApi
from webhook.cli.problems import UnreadProblem, UsageProblem
from webhook.cli.progress import reading_progress
from webhook.cluster import api
from webhook.cluster.credentials import access
from webhook.cluster.errors import ClusterConfigError, ClusterUnavailable
from webhook.cluster.snapshot import read_cluster
from webhook.core.inventory import Inventory

kubeconfig_option: Final = click.option(
    "--kubeconfig",
    metavar="FILE",
    help="How to reach the cluster.  [default: this Pod's own; $KUBECONFIG; ~/.kube/config]",
)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--kubeconfig` and `--context`."""
    context = click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
    return kubeconfig_option(context(command))


def connect(kubeconfig: str | None, context: str | None, *, connections: int) -> api.ClusterApi:
    """The API server that these flags name. Raises `UsageProblem`."""
    try:
        return api.connect(kubeconfig=kubeconfig, context=context, connections=connections)
    except ClusterConfigError as error:
        raise UsageProblem(str(error)) from error


def certificate_api(kubeconfig: str | None, context: str | None) -> KubernetesApi:
    """The same API server, for Secrets and webhook configurations. Raises `UsageProblem`."""
    try:
        return KubernetesApi(access(kubeconfig, context, 1).new_client())
    except ClusterConfigError as error:
        raise UsageProblem(str(error)) from error


def read_everything(cluster: api.ClusterApi) -> Inventory:
    """The whole cluster, once, with progress on a terminal. Raises `UnreadProblem`."""
    try:
        with reading_progress() as progress:
            return read_cluster(cluster, progress)
    except ClusterUnavailable as error:
        raise unread(error) from error


def unread(error: ClusterUnavailable) -> UnreadProblem:
    """The end of a command whose cluster gave no answer: never to be taken for a clean result."""
    return UnreadProblem(f"the cluster could not be read: {error.reason}")
