"""`endpoints-guard certs`: certificates for the webhook."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from certs.pki import CertificateProblem, KeyPair, issue_ca, issue_serving, service_names
from certs.publish import Publisher, PublishProblem
from certs.review import Remark, review
from certs.rotator import Rotator
from certs.serving import CertificateFiles
from webhook.cli.certificates import (
    Duration,
    HostName,
    SelfManaged,
    lifetime_options,
    object_options,
    utc_now,
)
from webhook.cli.cluster import cluster_options
from webhook.cli.problems import EXIT_FINDINGS, UnreadProblem, UsageProblem


@click.group()
def command() -> None:
    """Make, look at and rotate the webhook's certificates."""


@command.command()
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write the files; made when it does not exist.  [default: this folder]",
)
@click.option(
    "--name",
    "names",
    type=HostName(),
    multiple=True,
    help="DNS name or IP address that the certificate is for; may be repeated.  "
    "[default: localhost, 127.0.0.1 and ::1]",
)
@click.option(
    "--service", type=HostName(), help="Add the names by which a cluster reaches this Service."
)
@click.option(
    "-n",
    "--namespace",
    type=HostName(),
    default="endpoints-guard",
    show_default=True,
    help="That Service's namespace.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="How long it is valid.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def issue(
    *,
    directory: Path,
    names: tuple[str, ...],
    service: str | None,
    namespace: str,
    days: int,
    overwrite: bool,
) -> None:
    """Make a CA and a serving certificate, for development.

    Writes ca.crt (the caBundle: what callers trust), ca.key, tls.crt and tls.key (what
    `serve --tls-cert --tls-key` takes).

    \b
    endpoints-guard certs issue -d tls --service endpoints-guard -n endpoints-guard
    """
    wanted = (*names, *(service_names(service, namespace) if service else ()))
    now, lifetime = utc_now(), timedelta(days=days)
    ca = issue_ca("endpoints-guard development CA", now, lifetime)
    serving = issue_serving(ca, wanted or ("localhost", "127.0.0.1", "::1"), now, lifetime)
    write_pairs(directory, ca, serving, overwrite=overwrite)
    click.echo(f"wrote ca.crt, ca.key, tls.crt and tls.key to {directory}; valid for {days} days")


def write_pairs(directory: Path, ca: KeyPair, serving: KeyPair, *, overwrite: bool) -> None:
    """Write both pairs, the keys readable by their owner alone. Raises `UsageProblem`."""
    files = {
        "ca.crt": ca.certificate,
        "ca.key": ca.key,
        "tls.crt": serving.certificate,
        "tls.key": serving.key,
    }
    there = [name for name in files if (directory / name).exists()]
    if there and not overwrite:
        raise UsageProblem(f"{directory} has {', '.join(there)} already; see --overwrite")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = directory / name
            path.touch(mode=0o600 if name.endswith(".key") else 0o644)
            path.write_bytes(content)
    except OSError as error:
        raise UsageProblem(f"{error.filename}: {error.strerror}") from error


@command.command()
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Look at a certificate in a file instead of the Secret.",
)
@click.option(
    "--tls-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Its key."
)
@click.option(
    "--ca-bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --tls-cert: what callers trust.",
)
@click.option(
    "--within",
    type=Duration(),
    default="14d",
    show_default=True,
    help="What ends within this time is about to expire.",
)
@object_options
@cluster_options
def show(
    *,
    tls_cert: Path | None,
    tls_key: Path | None,
    ca_bundle: Path | None,
    within: timedelta,
    kubeconfig: str | None,
    context: str | None,
    **objects: Any,
) -> None:
    """Show the serving certificate: for whom, until when, and whether callers trust it.

    Exit code: 0 all is well, 1 something is about to expire or does not match, 2 unusable input,
    3 the cluster could not be read.
    """
    managed = SelfManaged(**_objects(objects))
    if tls_cert is None:
        if tls_key is not None or ca_bundle is not None:
            raise UsageProblem("--tls-key and --ca-bundle need --tls-cert")
        shown = _published(managed.publisher(kubeconfig, context))
    else:
        shown = _in_files(tls_cert, tls_key, ca_bundle)
    try:
        remarks = review(shown.pair, shown.bundles, managed.wanted_names, utc_now(), within)
    except CertificateProblem as error:
        raise UsageProblem(f"{shown.origin}: {error}") from error
    _print_and_exit(remarks)


@command.command()
@object_options
@lifetime_options
@cluster_options
def rotate(*, kubeconfig: str | None, context: str | None, **flags: Any) -> None:
    """Begin to replace the CA now, although it is not due.

    The next CA is made and published beside the current one. The running replicas do the rest, as
    they always do: they switch over when every API server trusts it, and retire the old one.
    """
    managed = SelfManaged(
        **_objects(flags),
        ca_lifetime=flags["ca_lifetime"],
        serving_lifetime=flags["cert_lifetime"],
        propagation=flags["cert_propagation"],
    )
    try:
        done = Rotator(managed.publisher(kubeconfig, context), managed.rules).stage_next_ca(
            utc_now()
        )
    except CertificateProblem as error:
        raise UsageProblem(str(error)) from error
    except PublishProblem as error:
        raise UnreadProblem(str(error)) from error
    click.echo(f"{done.step}: {done.why}")


def _objects(flags: dict[str, Any]) -> dict[str, Any]:
    return {
        "secret": flags["cert_secret"],
        "service": flags["cert_service"],
        "configurations": flags["configurations"],
        "names": flags["names"],
    }


class _Shown(Struct, frozen=True, kw_only=True):
    """What `show` looks at."""

    pair: KeyPair
    origin: str
    bundles: dict[str, bytes]
    """What callers trust, by where that stands."""


def _published(publisher: Publisher) -> _Shown:
    """The pair in the Secret, and every caBundle. Raises `UsageProblem`, `UnreadProblem`."""
    configurations = publisher.read_configurations()
    if configurations.problems:
        raise UnreadProblem("; ".join(configurations.problems))
    try:
        pair = publisher.read_secret().bundle.serving
    except PublishProblem as error:
        raise UnreadProblem(str(error)) from error
    if pair is None:
        raise UsageProblem(f"{publisher.origin} holds no serving certificate")
    bundles = {
        f"caBundle of {found.name}/{webhook}": pem
        for found in configurations.found
        for webhook, pem in found.ca_bundles.items()
    }
    return _Shown(pair=pair, origin=publisher.origin, bundles=bundles)


def _in_files(certificate: Path, key: Path | None, ca_bundle: Path | None) -> _Shown:
    if key is None:
        raise UsageProblem("--tls-cert needs --tls-key")
    files = CertificateFiles(certificate=certificate, key=key)
    try:
        bundles = {} if ca_bundle is None else {str(ca_bundle): ca_bundle.read_bytes()}
        return _Shown(pair=files.read(), origin=files.origin, bundles=bundles)
    except CertificateProblem as error:
        raise UsageProblem(str(error)) from error
    except OSError as error:
        raise UsageProblem(f"{error.filename}: {error.strerror}") from error


def _print_and_exit(remarks: tuple[Remark, ...]) -> None:
    for remark in remarks:
        click.echo(f"{'ok ' if remark.good else 'BAD'}  {remark.text}")
    sys.exit(0 if all(remark.good for remark in remarks) else EXIT_FINDINGS)
