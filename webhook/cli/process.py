"""The serving process: certificate, policy, state and server, put together and run."""

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Thread

from certs.rotator import Rotator
from certs.serving import ServingCertificate
from webhook.cli import readings
from webhook.cli.certificates import (
    READY_MARGIN,
    SelfManaged,
    condition_of,
    first_of_self_managed,
    from_files,
    utc_now,
)
from webhook.cli.cluster import connect
from webhook.cli.policies import policy_source
from webhook.cli.problems import UsageProblem
from webhook.cluster.events import EventWriter
from webhook.cluster.live import LiveCluster
from webhook.cluster.manifests import read_state
from webhook.cluster.policies import PolicySource
from webhook.cluster.state import Condition, FixedState, State
from webhook.core.rule import Action
from webhook.gateway import GatewaySettings, Limits, Listen, ListenError, serve
from webhook.server import Judge, create_app, create_health_app
from webhook.telemetry import LOG, Telemetry, configure_logging
from webhook.validation import MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The flags of `serve`, by the names that click gives them."""

    listen: Listen
    health_listen: Listen
    tls_cert: Path | None
    tls_key: Path | None
    self_managed_certs: bool
    cert_secret: tuple[str, str]
    cert_service: tuple[str, str]
    configurations: tuple[str, ...]
    names: tuple[str, ...]
    ca_lifetime: timedelta
    cert_lifetime: timedelta
    cert_propagation: timedelta
    client_ca: Path | None
    client_names: tuple[str, ...]
    policy: Path | None
    kubeconfig: str | None
    context: str | None
    state_paths: tuple[str, ...]
    threads: int
    drain_seconds: float
    log_format: str
    log_findings: str
    events: bool

    @property
    def self_managed(self) -> SelfManaged:
        """What concerns certificates that rotate themselves."""
        return SelfManaged(
            secret=self.cert_secret,
            service=self.cert_service,
            configurations=self.configurations,
            names=self.names,
            ca_lifetime=self.ca_lifetime,
            serving_lifetime=self.cert_lifetime,
            propagation=self.cert_propagation,
        )


Start = Callable[[Telemetry], object]
"""Something to begin in the worker, after the fork; it says how its metrics are read."""


def run(settings: Settings) -> int:
    """Serve until told to stop; the exit code. Raises `UsageProblem` when it cannot begin."""
    readable = settings.log_format == "text"
    if settings.log_format == "auto":
        readable = sys.stderr.isatty()
    configure_logging(sys.stderr, json=not readable)
    rules = policy_source(settings.policy)
    certificate, margin, rotate = _certificate(settings)
    state, read = _state(settings)
    parts = _Parts(settings, certificate, margin, rules, state)
    try:
        return parts.serve((read, rotate))
    except ListenError as error:
        raise UsageProblem(str(error)) from error


def _nothing(_telemetry: Telemetry) -> None:
    """Files and manifests need no thread."""


def _state(settings: Settings) -> tuple[State, Start]:
    if not settings.state_paths:
        api = connect(
            settings.kubeconfig, settings.context, connections=settings.threads + settings.events
        )
        cluster = LiveCluster(api)
        return cluster, partial(_read, cluster)
    if not settings.self_managed_certs and (settings.kubeconfig or settings.context):
        raise UsageProblem("--state judges against files: leave out --kubeconfig, --context")
    inventory, unreadable = read_state(settings.state_paths)
    if unreadable:
        raise UsageProblem("\n".join(map(str, unreadable)))
    return FixedState(inventory=inventory), _nothing


def _read(cluster: LiveCluster, telemetry: Telemetry) -> None:
    telemetry.export(partial(readings.of_informers, cluster.informers.status, time.time))
    cluster.start()
    Thread(target=cluster.freeze_when_synced, name="freeze", daemon=True).start()


def _certificate(settings: Settings) -> tuple[ServingCertificate, timedelta, Start]:
    """The certificate, how long before its end it makes us unready, and what keeps it fresh."""
    if settings.client_names and settings.client_ca is None:
        raise UsageProblem("--client-name says nothing without --client-ca")
    if settings.self_managed_certs:
        return _self_managed(settings)
    if settings.tls_cert is None or settings.tls_key is None:
        raise UsageProblem("give --tls-cert and --tls-key, or --self-managed-certs")
    certificate = from_files(settings.tls_cert, settings.tls_key, settings.client_ca)
    return certificate, READY_MARGIN, _nothing


def _self_managed(settings: Settings) -> tuple[ServingCertificate, timedelta, Start]:
    if settings.tls_cert is not None or settings.tls_key is not None:
        raise UsageProblem("--self-managed-certs and --tls-cert exclude each other")
    managed, rules = settings.self_managed, settings.self_managed.rules
    connected = partial(managed.publisher, settings.kubeconfig, settings.context)
    certificate = first_of_self_managed(connected(), rules, settings.client_ca)

    def rotate(telemetry: Telemetry) -> None:
        # A client of its own: the first one's connections belong to the process before the fork.
        rotator = Rotator(connected(), rules, certificate)
        telemetry.export(partial(readings.of_rotation, rotator.facts))
        rotator.start(utc_now)

    return certificate, min(READY_MARGIN, rules.serving_lifetime / 20), rotate


class _Parts:
    """What the worker is made of."""

    def __init__(
        self,
        settings: Settings,
        certificate: ServingCertificate,
        margin: timedelta,
        rules: PolicySource,
        state: State,
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._margin = margin
        self._rules = rules
        self._state = state
        self._draining = False

    def serve(self, starts: tuple[Start, ...]) -> int:
        settings = self._settings
        events = _events(settings, self._state)
        telemetry = Telemetry(
            log_findings=Action(settings.log_findings),
            on_denial=None if events is None else events.note,
        )
        if events is not None:
            starts = (*starts, partial(_tell, events))
        telemetry.export(partial(readings.of_certificate, self._certificate))
        telemetry.export(partial(readings.of_policy, self._rules, time.time))
        judge = Judge(self._state, self._rules.current, telemetry)
        app = create_app(
            *(judge, telemetry, self._conditions, settings.client_names),
            callers_are_verified=settings.client_ca is not None,
        )
        return serve(
            GatewaySettings(
                listen=settings.listen,
                health_listen=settings.health_listen,
                limits=Limits(threads=settings.threads, max_body_bytes=MAX_BODY_BYTES),
                drain_seconds=settings.drain_seconds,
            ),
            app=app,
            prompt_app=app.prompt,
            health_app=create_health_app(telemetry, self._conditions),
            tls_context=self._certificate.context,
            on_listening=_announce,
            on_worker_start=partial(_start_all, starts, telemetry),
            on_serving=lambda status: telemetry.export(partial(readings.of_port, status)),
            on_drain=self._drain,
        )

    def _conditions(self) -> tuple[Condition, ...]:
        text = "stopping" if self._draining else "listening"
        own = (
            Condition(part="server", ready=not self._draining, text=text),
            condition_of(self._certificate, self._margin),
            _policy_condition(self._rules),
        )
        return (*own, *self._state.conditions())

    def _drain(self) -> None:
        self._draining = True


def _events(settings: Settings, state: State) -> EventWriter | None:
    if not settings.events:
        return None
    if not isinstance(state, LiveCluster):
        raise UsageProblem("--events needs a cluster to write them to: leave out --state")
    return EventWriter(state.api, socket.gethostname(), utc_now)


def _tell(events: EventWriter, telemetry: Telemetry) -> None:
    telemetry.export(partial(readings.of_events, events.counts))
    events.start()


def _start_all(starts: tuple[Start, ...], telemetry: Telemetry) -> None:
    for start in starts:
        start(telemetry)


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
