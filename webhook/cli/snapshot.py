"""`endpoints-guard snapshot`: the cluster's state as a file."""

from collections.abc import Iterator
from pathlib import Path

import click

from webhook.cli.cluster import cluster_options, connect, unread
from webhook.cli.files import write_whole
from webhook.cli.problems import UsageProblem
from webhook.cli.progress import reading_progress
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.snapshot import snapshot_lines


@click.command()
@click.option(
    "-o",
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Where to write it; - is standard output.",
)
@click.option(
    "-n", "--namespace", default="", help="Endpoints and EndpointSlices of this namespace only."
)
@cluster_options
def command(
    *, output_file: Path, namespace: str, kubeconfig: str | None, context: str | None
) -> None:
    """Write the cluster state that an offline check, audit or explain needs.

    It is a List of Services, Pods, Nodes, Endpoints, EndpointSlices, and RBAC roles and bindings
    with the fields that rules use, and nothing secret: no environment, no commands, no annotations.
    All but Endpoints and EndpointSlices are those of the whole cluster, since an address may belong
    to any Pod of it. The file appears only once it is complete.

    \b
    endpoints-guard snapshot -o now.json
    endpoints-guard check -f manifests/ --state now.json
    """
    api = connect(kubeconfig, context, connections=1)
    try:
        # Bars between the lines of a file that is shown would spoil both.
        with reading_progress(wanted=output_file != Path("-")) as progress:
            _write(snapshot_lines(api, progress, namespace), output_file)
    except ClusterUnavailable as error:
        raise unread(error) from error
    except OSError as error:
        raise UsageProblem(f"{output_file}: {error.strerror}") from error


def _write(lines: Iterator[str], file: Path) -> None:
    if file == Path("-"):
        for line in lines:
            click.echo(line, nl=False)
    else:
        write_whole(file, lines)
