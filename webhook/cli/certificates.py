"""Where the serving certificate comes from: the flags, and the parts that they name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import click

from certs.pki import CertificateProblem, service_names
from certs.publish import Publisher, PublishProblem
from certs.rotation import RotationRules
from certs.rotator import Rotator
from certs.serving import CertificateFiles, ServingCertificate
from webhook.cli.cluster import certificate_api
from webhook.cli.problems import UnreadProblem, UsageProblem
from webhook.cluster.state import Condition

READY_MARGIN: Final = timedelta(minutes=5)
"""A certificate that ends within this time makes the replica unready."""

_DURATION: Final = re.compile(r"(\d+)([smhd])", re.ASCII)
_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST_NAME: Final = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """A time such as 90d, 12h, 10m or 30s."""

    name = "DURATION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it, or fail with an example."""
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a time such as 90d, 12h, 10m or 30s", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


class NamespacedName(click.ParamType[tuple[str, str]]):
    """NAMESPACE/NAME."""

    name = "NAMESPACE/NAME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read it, or fail with an example."""
        namespace, slash, name = str(value).partition("/")
        if not (namespace and slash and name):
            self.fail(f"{value!r} is not NAMESPACE/NAME", param, ctx)
        return namespace, name


class HostName(click.ParamType[str]):
    """A DNS name, or an IP address."""

    name = "NAME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The same, or the end of the command: a certificate for another name helps nobody."""
        text = str(value)
        if not (_HOST_NAME.fullmatch(text) or _is_address(text)):
            self.fail(f"{text!r} is no DNS name or IP address", param, ctx)
        return text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfManaged:
    """Everything about certificates that rotate themselves."""

    secret: tuple[str, str]
    service: tuple[str, str]
    configurations: tuple[str, ...]
    names: tuple[str, ...] = ()
    ca_lifetime: timedelta = timedelta(days=365)
    serving_lifetime: timedelta = timedelta(days=90)
    propagation: timedelta = timedelta(minutes=10)

    @property
    def wanted_names(self) -> tuple[str, ...]:
        """What callers use: the API server's name for the Service, and those asked for."""
        namespace, service = self.service
        return (f"{service}.{namespace}.svc", *self.names)

    @property
    def rules(self) -> RotationRules:
        """What the rotation goes by. Raises `UsageProblem` when the times do not fit together."""
        namespace, service = self.service
        try:
            return RotationRules(
                names=(*service_names(service, namespace), *self.names),
                ca_lifetime=self.ca_lifetime,
                ca_lookahead=max(self.ca_lifetime / 3, self.serving_lifetime),
                serving_lifetime=self.serving_lifetime,
                serving_lookahead=self.serving_lifetime / 3,
                propagation=self.propagation,
                interval=min(self.propagation / 4, timedelta(minutes=1)),
            )
        except ValueError as error:
            raise UsageProblem(
                "certificate lifetimes: --ca-lifetime must be at least twice --cert-lifetime, and "
                "--cert-lifetime at least twelve times --cert-propagation"
            ) from error

    def publisher(self, kubeconfig: str | None, context: str | None) -> Publisher:
        """Writes the Secret and the configurations. Raises `UsageProblem`."""
        namespace, secret = self.secret
        return Publisher(
            certificate_api(kubeconfig, context),
            namespace=namespace,
            secret=secret,
            configurations=self.configurations,
        )


def object_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that name the objects in which self-managed certificates are kept."""
    options = (
        click.option(
            "--cert-secret",
            type=NamespacedName(),
            default="endpoints-guard/endpoints-guard-certs",
            show_default=True,
            help="The Secret in which the certificates are kept.",
        ),
        click.option(
            "--cert-service",
            type=NamespacedName(),
            default="endpoints-guard/endpoints-guard",
            show_default=True,
            help="The Service for whose names the certificate is.",
        ),
        click.option(
            "--webhook-configuration",
            "configurations",
            metavar="NAME",
            multiple=True,
            default=("endpoints-guard",),
            show_default=True,
            help="The ValidatingWebhookConfiguration that gets the caBundle; may be repeated.",
        ),
        click.option(
            "--cert-name",
            "names",
            type=HostName(),
            metavar="NAME",
            multiple=True,
            help="A further DNS name or IP address for the certificate; may be repeated.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def lifetime_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that say how long self-managed certificates last."""
    options = (
        ("--ca-lifetime", "365d", "How long a CA lasts; the next one is made at two thirds of it."),
        ("--cert-lifetime", "90d", "How long a serving certificate lasts; renewed likewise."),
        ("--cert-propagation", "10m", "After which time every API server uses a new caBundle."),
    )
    for flag, default, text in reversed(options):
        option = click.option(flag, type=Duration(), default=default, show_default=True, help=text)
        command = option(command)
    return command


def from_files(certificate: Path, key: Path, client_ca: Path | None) -> ServingCertificate:
    """A certificate that somebody else keeps fresh. Raises `UsageProblem`."""
    files = CertificateFiles(certificate=certificate, key=key)
    try:
        return ServingCertificate(clock=utc_now, files=files, client_ca=client_ca)
    except CertificateProblem as error:
        raise UsageProblem(str(error)) from error


def first_of_self_managed(
    publisher: Publisher, rules: RotationRules, client_ca: Path | None
) -> ServingCertificate:
    """A certificate from the Secret, or a new one. Raises `UsageProblem`, or `UnreadProblem`, when
    there is none.

    That its caBundle cannot be published yet is no reason not to serve: an installer may make the
    webhook configuration after the Deployment, and the rotation tries again.
    """
    try:
        certificate = ServingCertificate(clock=utc_now, client_ca=client_ca)
        Rotator(publisher, rules, certificate).run_once(utc_now())
    except CertificateProblem as error:
        raise UsageProblem(str(error)) from error
    except PublishProblem as error:
        if certificate.facts().certificate is None:
            raise UnreadProblem(str(error)) from error
    return certificate


def condition_of(certificate: ServingCertificate, margin: timedelta = READY_MARGIN) -> Condition:
    """How the certificate is doing, as a line of /readyz."""
    facts = certificate.facts()
    if facts.certificate is None:
        return Condition(part="certificate", ready=False, text="there is none yet")
    until = f"{facts.certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"
    ready = facts.certificate.not_after - utc_now() > margin
    text = f"valid until {until}" if ready else f"too old, it ends at {until}"
    if facts.last_error:
        text = f"{text}; a newer one is not in use: {facts.last_error}"
    return Condition(part="certificate", ready=ready, text=text)


def utc_now() -> datetime:
    """The clock of everything that concerns certificates."""
    return datetime.now(UTC)
