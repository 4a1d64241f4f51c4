"""`endpoints-guard serve`: the webhook."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from certs.pki import CertificateProblem
from certs.serving import CertificateFiles, ServingCertificate
from webhook.cli.cluster import cluster_options, connect
from webhook.cli.policies import policy_option, policy_source
from webhook.cli.problems import UsageProblem
from webhook.cluster.live import LiveCluster
from webhook.cluster.manifests import read_state
from webhook.cluster.policies import PolicySource
from webhook.cluster.state import Condition, FixedState, State
from webhook.gateway import GatewaySettings, Limits, Listen, ListenError
from webhook.gateway import serve as serve_gateway
from webhook.server import MAX_BODY_BYTES, Judge, create_app, create_health_app
from webhook.telemetry import LOG, Telemetry, configure_logging

_SERVER_TEXTS: Final = {False: "listening", True: "stopping"}


class _Listen(click.ParamType[Listen]):
    """HOST:PORT."""

    name = "HOST:PORT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Listen:
        if isinstance(value, Listen):
            return value
        try:
            return Listen.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option(
    "--listen",
    type=_Listen(),
    default="0.0.0.0:8443",
    show_default=True,
    help="Where the API server calls, over TLS: POST /validate.",
)
@click.option(
    "--health-listen",
    type=_Listen(),
    default="0.0.0.0:8081",
    show_default=True,
    help="Plain HTTP for probes and metrics: /livez, /readyz, /metrics.",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Serving certificate, PEM; loaded again when it changes.",
)
@click.option(
    "--tls-key",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Its private key, PEM.",
)
@click.option(
    "--client-ca",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Answer only callers with a certificate signed by one of these CAs.",
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
def command(
    *,
    listen: Listen,
    health_listen: Listen,
    tls_cert: Path,
    tls_key: Path,
    client_ca: Path | None,
    policy: Path | None,
    kubeconfig: str | None,
    context: str | None,
    state_paths: tuple[str, ...],
    threads: int,
    drain_seconds: float,
    log_format: str,
) -> None:
    """Answer AdmissionReviews of Endpoints and EndpointSlices over TLS.

    The cluster to judge against is the one that this Pod runs in, or else the one of the
    kubeconfig; with --state it is a folder of manifests.

    \b
    endpoints-guard serve --tls-cert tls/tls.crt --tls-key tls/tls.key
    \b
    Without a cluster:
    endpoints-guard certs issue -d tls
    endpoints-guard serve --tls-cert tls/tls.crt --tls-key tls/tls.key --state manifests/
    """
    readable = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    configure_logging(sys.stderr, json=not readable)
    files = CertificateFiles(certificate=tls_cert, key=tls_key)
    rules = policy_source(policy)
    try:
        certificate = ServingCertificate(
            clock=lambda: datetime.now(UTC), files=files, client_ca=client_ca
        )
        settings = GatewaySettings(
            listen=listen,
            health_listen=health_listen,
            limits=Limits(threads=threads, max_body_bytes=MAX_BODY_BYTES),
            drain_seconds=drain_seconds,
        )
        if state_paths:
            sys.exit(_run(settings, certificate, rules, _fixed_state(state_paths)))
        cluster = LiveCluster(connect(kubeconfig, context, connections=threads))
        sys.exit(_run(settings, certificate, rules, cluster, on_worker_start=cluster.start))
    except (CertificateProblem, ListenError) as error:
        raise UsageProblem(str(error)) from error


def _fixed_state(paths: tuple[str, ...]) -> State:
    inventory, unreadable = read_state(paths)
    if unreadable:
        raise UsageProblem("\n".join(map(str, unreadable)))
    return FixedState(inventory=inventory)


def _run(
    settings: GatewaySettings,
    certificate: ServingCertificate,
    rules: PolicySource,
    state: State,
    on_worker_start: Callable[[], None] = lambda: None,
) -> int:
    telemetry, draining = Telemetry(), False

    def conditions() -> tuple[Condition, ...]:
        server = Condition(part="server", ready=not draining, text=_SERVER_TEXTS[draining])
        own = (server, _certificate_condition(certificate), _policy_condition(rules))
        return (*own, *state.conditions())

    def drain() -> None:
        nonlocal draining
        draining = True

    judge = Judge(state, rules.current, telemetry)
    return serve_gateway(
        settings,
        app=create_app(judge, telemetry, conditions),
        health_app=create_health_app(telemetry, conditions),
        tls_context=certificate.context,
        on_listening=_announce,
        on_worker_start=on_worker_start,
        on_drain=drain,
    )


def _certificate_condition(certificate: ServingCertificate) -> Condition:
    facts = certificate.facts()
    if facts.certificate is None:
        return Condition(part="certificate", ready=False, text="there is none yet")
    until = f"{facts.certificate.not_after:%Y-%m-%d %H:%M} UTC"
    ready = facts.certificate.not_after > datetime.now(UTC)
    text = f"valid until {until}" if ready else f"expired at {until}"
    if facts.last_error:
        text = f"{text}; not in use yet: {facts.last_error}"
    return Condition(part="certificate", ready=ready, text=text)


def _policy_condition(rules: PolicySource) -> Condition:
    facts = rules.facts()
    text = f"last good one in force: {facts.last_error}" if facts.last_error else facts.source
    return Condition(part="policy", ready=True, text=text)


def _announce(listening: tuple[str, int], health: tuple[str, int] | None) -> None:
    addresses = {"listen": Listen(host=listening[0], port=listening[1])}
    if health is not None:
        addresses["health_listen"] = Listen(host=health[0], port=health[1])
    facts = {name: str(address) for name, address in addresses.items()}
    LOG.info("listening on %s", " and ".join(facts.values()), extra={"facts": facts})
