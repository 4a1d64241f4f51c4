"""`endpoints-guard serve`: the webhook."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from certs.pki import CertificateProblem
from certs.serving import CertificateFiles, ServingCertificate
from webhook.cli import EXIT_USAGE
from webhook.cluster.manifests import read_paths, state_of
from webhook.cluster.state import FixedState, State
from webhook.core.policy import Policy
from webhook.gateway import GatewaySettings, Limits, Listen, ListenError
from webhook.gateway import serve as serve_gateway
from webhook.server import MAX_BODY_BYTES, Judge, create_app, create_health_app
from webhook.telemetry import LOG, Telemetry, configure_logging

_POLICY: Final = Policy()


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
@click.option(
    "--state",
    "state_paths",
    multiple=True,
    required=True,
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
    state_paths: tuple[str, ...],
    threads: int,
    drain_seconds: float,
    log_format: str,
) -> None:
    """Answer AdmissionReviews of Endpoints and EndpointSlices over TLS.

    \b
    endpoints-guard certs issue -d tls
    endpoints-guard serve --tls-cert tls/tls.crt --tls-key tls/tls.key --state manifests/
    """
    readable = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    configure_logging(sys.stderr, json=not readable)
    files = CertificateFiles(certificate=tls_cert, key=tls_key)
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
        sys.exit(_run(settings, certificate, _fixed_state(state_paths)))
    except (CertificateProblem, ListenError) as error:
        raise _UnusableError(str(error)) from error


class _UnusableError(click.ClickException):
    """The process cannot start with what it was given."""

    exit_code = EXIT_USAGE


def _fixed_state(paths: tuple[str, ...]) -> State:
    manifests = read_paths(paths)
    if manifests.unreadable:
        raise _UnusableError("\n".join(map(str, manifests.unreadable)))
    return FixedState(inventory=state_of(manifests))


def _run(settings: GatewaySettings, certificate: ServingCertificate, state: State) -> int:
    telemetry, draining = Telemetry(), False

    def problems() -> dict[str, str]:
        found = {**state.problems(), **_certificate_problem(certificate)}
        return {**found, "server": "it is stopping"} if draining else found

    def drain() -> None:
        nonlocal draining
        draining = True

    judge = Judge(state, lambda: _POLICY, telemetry)
    return serve_gateway(
        settings,
        app=create_app(judge, telemetry, problems),
        health_app=create_health_app(telemetry, problems),
        tls_context=certificate.context,
        on_listening=_announce,
        on_drain=drain,
    )


def _certificate_problem(certificate: ServingCertificate) -> dict[str, str]:
    info = certificate.facts().certificate
    if info is None:
        return {"certificate": "there is none yet"}
    if info.not_after <= datetime.now(UTC):
        return {"certificate": f"it expired at {info.not_after:%Y-%m-%d %H:%M} UTC"}
    return {}


def _announce(listening: tuple[str, int], health: tuple[str, int] | None) -> None:
    addresses = {"listen": Listen(host=listening[0], port=listening[1])}
    if health is not None:
        addresses["health_listen"] = Listen(host=health[0], port=health[1])
    facts = {name: str(address) for name, address in addresses.items()}
    LOG.info("listening on %s", " and ".join(facts.values()), extra={"facts": facts})
