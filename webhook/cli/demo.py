"""`endpoints-guard demo`: the real webhook on an example, with good and bad writes sent to it."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess  # it starts this very program
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import yaml

from certs.pki import issue_ca, issue_serving
from webhook.cli.certs import write_pairs
from webhook.core.example_cluster import CLUSTER, ENDPOINTS

_START_SECONDS: Final = 20
_LISTEN: Final = "127.0.0.1:8443"
_HEALTH_LISTEN: Final = "127.0.0.1:8081"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What somebody tries to write, and what should become of it."""

    title: str
    manifest: Json
    allowed: bool


def writes() -> tuple[Write, ...]:
    """The document's own Endpoints, six ways to abuse them, and what is legitimate by hand."""
    return (
        Write(title="the document's own Endpoints", manifest=_endpoints(), allowed=True),
        _denied("an address of no Pod", _with_first(ip="40.0.4.99")),
        _denied("a wrong port", _edited(lambda subset: subset["ports"][0].update(port=22))),
        _denied("a targetRef of another namespace", _edited(_point_to_vault)),
        _denied("a foreign Pod's address", _with_first(ip="40.0.7.8")),
        _denied("the same, by an EndpointSlice", _slice("wordpress", "40.0.7.8", 80)),
        _denied("the same, without a selector", _manual("40.0.7.8", 8200)),
        _denied("the cloud's metadata server", _manual("169.254.169.254", 80)),
        Write(
            title="an external database, by hand",
            manifest=_manual("198.51.100.7", 3306),
            allowed=True,
        ),
    )


def _denied(title: str, manifest: Json) -> Write:
    return Write(title=title, manifest=manifest, allowed=False)


def _endpoints() -> Json:
    manifest: Json = yaml.safe_load(ENDPOINTS)
    return manifest


def _edited(edit: Callable[[Json], Any]) -> Json:
    manifest = _endpoints()
    edit(manifest["subsets"][0])
    return manifest


def _with_first(**fields: str) -> Json:
    return _edited(lambda subset: subset["addresses"][0].update(fields))


def _point_to_vault(subset: Json) -> None:
    subset["addresses"][0]["targetRef"].update(name="vault-0", namespace="tenant-b", uid="")


def _slice(service: str, address: str, port: int) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "namespace": "wordpress-ns",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "", "protocol": "TCP", "port": port}],
    }


def _manual(address: str, port: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "database", "namespace": "wordpress-ns"},
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "mysql", "port": port}]}],
    }


def review(manifest: Json, uid: str) -> Json:
    """The AdmissionReview that an API server would send for a CREATE by an ordinary user."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": manifest["kind"]}
    resource = {"group": group, "version": version, "resource": manifest["kind"].lower()}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": kind,
            "resource": resource,
            "operation": "CREATE",
            "namespace": manifest["metadata"]["namespace"],
            "name": manifest["metadata"]["name"],
            "userInfo": {"username": "mallory", "groups": ["tenants", "system:authenticated"]},
            "object": manifest,
            "oldObject": None,
            "dryRun": False,
        },
    }


@click.command()
@click.option("--foreground", is_flag=True, help="Leave the server running, and say how to ask it.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="With --foreground: where certificates, state and reviews are kept.",
)
def command(*, foreground: bool, directory: Path) -> None:
    """Start the webhook on an example, send it good and bad writes, and show its verdicts.

    The example is a WordPress Service with two Pods, a database Service without a selector, and
    another tenant's Pod. Everything is real: certificates, TLS, the server, the reviews; only the
    cluster is a file.
    """
    if foreground:
        _prepare(directory)
        _show_how_to_ask(directory)
        _become(_serve_command(directory, _LISTEN, _HEALTH_LISTEN))
    with tempfile.TemporaryDirectory(prefix="endpoints-guard-") as scratch:
        _prepare(Path(scratch))
        with _server(Path(scratch)) as port:
            click.echo(f"\nThe webhook answers at https://127.0.0.1:{port}/validate\n")
            surprises = _show_verdicts(port, Path(scratch) / "ca.crt")
    if surprises:
        raise click.ClickException(f"{surprises} of the verdicts are not what they should be")


def _prepare(directory: Path) -> None:
    now, lifetime = datetime.now(UTC), timedelta(days=7)
    ca = issue_ca("endpoints-guard demo CA", now, lifetime)
    serving = issue_serving(ca, ("localhost", "127.0.0.1"), now, lifetime)
    write_pairs(directory, ca, serving, overwrite=True)
    (directory / "state.yaml").write_text(CLUSTER, encoding="utf-8")
    for name, write in zip(("good", "bad"), writes(), strict=False):
        text = json.dumps(review(write.manifest, name), indent=1)
        (directory / f"{name}.json").write_text(text, encoding="utf-8")


def _serve_command(directory: Path, listen: str, health_listen: str) -> list[str]:
    flags = {
        "--listen": listen,
        "--health-listen": health_listen,
        "--tls-cert": directory / "tls.crt",
        "--tls-key": directory / "tls.key",
        "--state": directory / "state.yaml",
        "--drain-seconds": 0,
    }
    words = [str(word) for flag in flags.items() for word in flag]
    return [sys.executable, "-m", "webhook", "serve", *words]


def _show_how_to_ask(directory: Path) -> None:
    click.echo(
        "Ask it from another terminal; bad.json is an address of no Pod, good.json is fine:\n"
    )
    click.echo(f"  curl --cacert {directory}/ca.crt -H 'Content-Type: application/json' \\")
    click.echo(f"       --data @{directory}/bad.json 'https://{_LISTEN}/validate?timeout=5s'\n")
    click.echo("Ctrl-C stops it.\n")


def _become(command_line: list[str]) -> None:
    sys.stdout.flush()
    os.execve(  # noqa: S606 - our own interpreter, our own flags
        command_line[0], command_line, _environment()
    )


def _environment() -> dict[str, str]:
    """Ours, with the libraries that we have ourselves: the kubectl plugin brings its own."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def _server(directory: Path) -> Iterator[int]:
    """The webhook in a process of its own, on a port that the kernel chose."""
    command_line = _serve_command(directory, "127.0.0.1:0", "127.0.0.1:0")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command_line, stderr=log, env=_environment()
        )
    try:
        yield _port_of(process, directory / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_START_SECONDS)


def _port_of(process: "subprocess.Popen[bytes]", log: Path) -> int:
    for _ in range(_START_SECONDS * 20):
        listening = re.search(r'"listen":"[^"]*:(\d+)"', log.read_text(encoding="utf-8"))
        if listening:
            return int(listening[1])
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise click.ClickException(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


def _show_verdicts(port: int, ca: Path) -> int:
    """Send every write, print one line for each, and count the surprises."""
    context = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    outcomes = [_send(connection, number, write) for number, write in enumerate(writes(), 1)]
    connection.close()
    for write, response in outcomes:
        _show(write, response)
    allowed = sum(response["allowed"] for _, response in outcomes)
    click.echo(f"\n{len(outcomes)} writes: {allowed} allowed, {len(outcomes) - allowed} denied")
    return sum(response["allowed"] is not write.allowed for write, response in outcomes)


def _send(connection: http.client.HTTPSConnection, number: int, write: Write) -> tuple[Write, Json]:
    body = json.dumps(review(write.manifest, f"demo-{number}"))
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/validate?timeout=5s", body, headers)
    answer = json.load(connection.getresponse())
    if "response" not in answer:
        raise click.ClickException(f"the webhook could not judge {write.title}: {answer}")
    return write, answer["response"]


def _show(write: Write, response: Json) -> None:
    verdict = "allowed" if response["allowed"] else "denied"
    color = "green" if response["allowed"] else "red"
    reason = response.get("status", {}).get("message", "").partition("\n")[0]
    click.echo(f"{click.style(f'{verdict:<8}', fg=color)} {write.title:<34} {reason}".rstrip())
