"""`endpoints-guard certs`: certificates for the webhook."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from certs.pki import KeyPair, issue_ca, issue_serving, service_names


@click.group()
def command() -> None:
    """Make certificates for the webhook."""


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
    multiple=True,
    help="DNS name or IP address that the certificate is for; may be repeated.  "
    "[default: localhost, 127.0.0.1 and ::1]",
)
@click.option("--service", help="Add the names by which a cluster reaches this Service.")
@click.option(
    "-n",
    "--namespace",
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
    now, lifetime = datetime.now(UTC), timedelta(days=days)
    ca = issue_ca("endpoints-guard development CA", now, lifetime)
    serving = issue_serving(ca, wanted or ("localhost", "127.0.0.1", "::1"), now, lifetime)
    write_pairs(directory, ca, serving, overwrite=overwrite)
    click.echo(f"wrote ca.crt, ca.key, tls.crt and tls.key to {directory}; valid for {days} days")


def write_pairs(directory: Path, ca: KeyPair, serving: KeyPair, *, overwrite: bool) -> None:
    """Write both pairs, the keys readable by their owner alone. Raises click.ClickException."""
    files = {
        "ca.crt": ca.certificate,
        "ca.key": ca.key,
        "tls.crt": serving.certificate,
        "tls.key": serving.key,
    }
    there = [name for name in files if (directory / name).exists()]
    if there and not overwrite:
        raise click.UsageError(f"{directory} has {', '.join(there)} already; see --overwrite")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = directory / name
            path.touch(mode=0o600 if name.endswith(".key") else 0o644)
            path.write_bytes(content)
    except OSError as error:
        raise click.FileError(str(error.filename), error.strerror) from error
