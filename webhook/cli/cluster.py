"""The flags by which a command finds its cluster: kubectl's own."""

from collections.abc import Callable
from typing import Any

import click

from webhook.cli.problems import UsageProblem
from webhook.cluster import api
from webhook.cluster.errors import ClusterConfigError


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--kubeconfig` and `--context`."""
    kubeconfig = click.option(
        "--kubeconfig",
        metavar="FILE",
        help="How to reach the cluster.  [default: this Pod's own; $KUBECONFIG; ~/.kube/config]",
    )
    context = click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
    return kubeconfig(context(command))


def connect(kubeconfig: str | None, context: str | None, *, connections: int) -> api.ClusterApi:
    """The API server that these flags name. Raises `UsageProblem`."""
    try:
        return api.connect(kubeconfig=kubeconfig, context=context, connections=connections)
    except ClusterConfigError as error:
        raise UsageProblem(str(error)) from error
