"""`endpoints-guard serve`: the webhook."""

import sys
from pathlib import Path
from typing import Any

import click

from webhook.cli.certificates import lifetime_options, object_options
from webhook.cli.cluster import cluster_options
from webhook.cli.listening import ListenType
from webhook.cli.policies import policy_option
from webhook.cli.process import Settings, run


@click.command()
@click.option(
    "--listen",
    type=ListenType(),
    default="0.0.0.0:8443",
    show_default=True,
    help="Where the API server calls, over TLS: POST /validate.",
)
@click.option(
    "--health-listen",
    type=ListenType(),
    default="0.0.0.0:8081",
    show_default=True,
    help="Plain HTTP for probes and metrics: /livez, /readyz, /metrics.",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Serving certificate, PEM; loaded again when it changes.",
)
@click.option(
    "--tls-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Its private key, PEM.",
)
@click.option(
    "--self-managed-certs",
    is_flag=True,
    help="Make, publish and rotate the certificates ourselves, in a Secret.",
)
@object_options
@lifetime_options
@click.option(
    "--client-ca",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Answer only callers with a certificate signed by one of these CAs. Only then are others'"
    " Pods named in annotations for the audit log.",
)
@click.option(
    "--client-name",
    "client_names",
    metavar="NAME",
    multiple=True,
    help="With --client-ca: answer only certificates of this name; may be repeated.",
)
@policy_option
@cluster_options
@click.option(
    "--state",
    "state_paths",
    multiple=True,
    metavar="PATH",
    help="Judge against these manifests instead of a cluster; file, folder or - (standard input).",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 512),
    default=32,
    show_default=True,
    help="Requests judged at once.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 300),
    default=5.0,
    show_default=True,
    help="After SIGTERM: how long new connections are still answered.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "json"]),
    default="auto",
    show_default=True,
    help="auto is text on a terminal and JSON elsewhere.",
)
@click.option(
    "--log-findings",
    type=click.Choice(["deny", "warn", "audit"]),
    default="deny",
    show_default=True,
    help="Log writes with findings of this action or a graver one, a line each.",
)
@click.option(
    "--events",
    is_flag=True,
    help="Write a Kubernetes Event about each denied write into its namespace.",
)
def command(**flags: Any) -> None:
    """Answer AdmissionReviews of Endpoints and EndpointSlices over TLS.

    The cluster to judge against is the one that this Pod runs in, or else the one of the
    kubeconfig; with --state it is a folder of manifests. The certificate comes from files, which
    are loaded again when they change, or with --self-managed-certs from a Secret that all replicas
    keep fresh together.

    \b
    endpoints-guard serve --self-managed-certs
    endpoints-guard serve --tls-cert tls/tls.crt --tls-key tls/tls.key
    \b
    Without a cluster:
    endpoints-guard certs issue -d tls
    endpoints-guard serve --tls-cert tls/tls.crt --tls-key tls/tls.key --state manifests/
    """
    sys.exit(run(Settings(**flags)))
