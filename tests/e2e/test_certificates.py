"""Certificates that rotate while the API server keeps asking: not one write may fail."""

import base64
import http.client
import itertools
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from certs.pki import KeyPair, inspect, inspect_all, issue_ca, issue_client, issue_serving
from tests.e2e.api import Api, Json
from tests.e2e.cluster import NewNamespace, endpoints, eventually, refuses
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import Component, Guard, environment
from tests.e2e.webhook_process import configuration, grant, registered, webhook_kubeconfig
from webhook.cluster.permissions import INFORMERS

pytestmark = pytest.mark.e2e

SECRET = "endpoints-guard-certs"
LIFETIMES = ("--ca-lifetime", "36s", "--cert-lifetime", "12s", "--cert-propagation", "1s")
REPOSITORY = Path(__file__).parents[2]


class Replica:
    """One `endpoints-guard serve` on a port that is known before it starts."""

    def __init__(self, directory: Path, guardian: Guard, port: int, *flags: str) -> None:
        self.port = port
        self._flags = flags
        self._home = environment(directory) | {"PYTHONPATH": str(REPOSITORY)}
        self._component = Component(f"replica-{port}", directory / f"{port}.log", guardian)

    def start(self) -> None:
        command = (
            *(sys.executable, "-m", "webhook", "serve", *self._flags),
            *("--listen", f"127.0.0.1:{self.port}", "--health-listen", "127.0.0.1:0"),
            *("--drain-seconds", "0", "--log-format", "json"),
        )
        self._component.start(command, self._home)

    def wait_listening(self) -> None:
        self._component.wait_healthy(self._complaint, 30)

    def stop(self) -> None:
        self._component.stop()

    def presented(self) -> str:
        """Fingerprint of the certificate that a new connection is shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain) as secure,
        ):
            der = secure.getpeercert(binary_form=True) or b""
        return inspect(ssl.DER_cert_to_PEM_cert(der).encode()).fingerprint

    def _complaint(self) -> str | None:
        try:
            self.presented()
        except OSError as error:
            return str(error)
        return None


@contextmanager
def replicas(directory: Path, *flags_of_each: tuple[str, ...]) -> Iterator[list[Replica]]:
    """Start one for each set of flags, all at once; stop them in the end."""
    with ExitStack() as stack:
        guardian = Guard()
        stack.callback(guardian.close)
        made = [Replica(directory, guardian, free_port(), *flags) for flags in flags_of_each]
        for replica in made:
            stack.callback(replica.stop)
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Writer:
    """Somebody who changes an annotation again and again, and remembers every refusal."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api, self._namespace, self._name = api, namespace, name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.writes = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            change = {"metadata": {"annotations": {"write": str(number)}}}
            answer = self._api.patch("Endpoints", self._namespace, self._name, change)
            self.writes += 1
            if not answer.ok:
                self.failures.append(f"{answer.status}: {answer.message}")


def registration(name: str, *ports: int, ca: bytes = b"") -> Json:
    """One configuration with a webhook for each port, so that every write asks each of them."""
    given = configuration(name, f"https://127.0.0.1:{ports[0]}/validate", ca)
    template = given["webhooks"][0]
    given["webhooks"] = [
        {
            **template,
            "name": f"replica-{port}.{template['name']}",
            "clientConfig": {
                **({"caBundle": base64.b64encode(ca).decode()} if ca else {}),
                "url": f"https://127.0.0.1:{port}/validate",
            },
        }
        for port in ports
    ]
    return given


def ca_bundles(admin: Api, name: str) -> list[bytes]:
    stored = admin.get("ValidatingWebhookConfiguration", "", name).must()
    return [base64.b64decode(w["clientConfig"].get("caBundle", "")) for w in stored["webhooks"]]


def rotating_kubeconfig(plane: ControlPlane, admin: Api, namespace: str, name: str) -> Path:
    """A user who may read the cluster, and keep one Secret and one configuration."""
    rules: list[Json] = [
        {"apiGroups": [p.api_group], "resources": list(p.resources), "verbs": list(p.verbs)}
        for p in INFORMERS
    ]
    rules += [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [SECRET],
            "verbs": ["get", "patch"],
        },
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingwebhookconfigurations"],
            "resourceNames": [name],
            "verbs": ["get", "patch"],
        },
    ]
    user = f"rotator-{namespace}"
    grant(admin, user, {"kind": "User", "name": user}, rules)
    return plane.kubeconfig_for(user)


def test_replicas_agree_on_one_ca_and_replace_it_without_a_failed_write(
    plane: ControlPlane,
    admin: Api,
    new_namespace: NewNamespace,
    tmp_path: Path,
    summary: list[str],
) -> None:
    namespace = new_namespace("certificates")
    name = "endpoints-guard-e2e-certificates"
    kubeconfig = rotating_kubeconfig(plane, admin, namespace.name, name)
    objects = (
        *("--cert-secret", f"{namespace.name}/{SECRET}", "--webhook-configuration", name),
        *("--cert-name", "127.0.0.1", "--kubeconfig", str(kubeconfig)),
    )
    flags = ("--self-managed-certs", *objects, *LIFETIMES)
    namespace.create(endpoints("target", {"ip": "198.51.100.7"}))
    with replicas(tmp_path, flags, flags) as made:
        given = registration("certificates", *(replica.port for replica in made))
        admin.create(given).must()
        for replica in made:
            replica.start()
        for replica in made:
            replica.wait_listening()
        with registered_already(admin, given):
            eventually(lambda: refuses(namespace) or None)
            first = inspect_all(ca_bundles(admin, name)[0])
            assert len(first) == 1, "two replicas that start at once end with one CA"
            shown = {replica.presented() for replica in made}
            assert len(shown) == 1

            with Writer(admin, namespace.name, "target") as writer:
                eventually(lambda: replaced(admin, name, first[0].fingerprint), 90)
                eventually(lambda: {r.presented() for r in made}.isdisjoint(shown) or None)
            assert writer.failures == []
            assert writer.writes > 100
            assert refuses(namespace)
            rotate = (*("certs", "rotate"), *objects, *LIFETIMES)
            said = run_cli(*rotate)
            assert said.returncode == 0, said.stderr
            show = run_cli("certs", "show", "--within", "1s", *objects)
            assert show.returncode == 0, show.stdout + show.stderr
    summary.append(
        f"certificates: {writer.writes} writes during a full CA rotation of two replicas, 0 failed"
    )


@contextmanager
def registered_already(admin: Api, given: Json) -> Iterator[None]:
    try:
        yield
    finally:
        admin.delete(given["kind"], "", given["metadata"]["name"]).must()


def replaced(admin: Api, name: str, fingerprint: str) -> bool | None:
    """Whether the first CA is gone from every caBundle."""
    bundles = ca_bundles(admin, name)
    known = {info.fingerprint for pem in bundles for info in inspect_all(pem)}
    return True if known and fingerprint not in known else None


def run_cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "webhook", *words),
        cwd=REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class MountedFiles:
    """A certificate as the kubelet mounts it: links through `..data`, swapped all at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"

    def put(self, pair: KeyPair) -> None:
        version = self._directory / f"..{next(self._numbers)}"
        version.mkdir()
        (version / "tls.crt").write_bytes(pair.certificate)
        (version / "tls.key").write_bytes(pair.key)
        link = self._directory / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(self._directory / "..data")
        for file in (self.certificate, self.key):
            if not file.is_symlink():
                file.symlink_to(f"..data/{file.name}")


def shows(replica: Replica, fingerprint: str) -> bool | None:
    return replica.presented() == fingerprint or None


def test_mounted_files_are_replaced_under_load_without_a_failed_write(
    plane: ControlPlane,
    admin: Api,
    new_namespace: NewNamespace,
    tmp_path: Path,
    summary: list[str],
) -> None:
    namespace, now, day = new_namespace("mounted"), datetime.now(UTC), timedelta(days=1)
    cas = [issue_ca(f"mounted {number}", now, day) for number in range(2)]
    bundle = b"".join(ca.certificate for ca in cas)
    (tmp_path / "mount").mkdir()
    files = MountedFiles(tmp_path / "mount")
    files.put(issue_serving(cas[0], ("127.0.0.1",), now, day))
    namespace.create(endpoints("target", {"ip": "198.51.100.7"}))
    flags = (
        *("--tls-cert", str(files.certificate), "--tls-key", str(files.key)),
        *("--kubeconfig", str(webhook_kubeconfig(plane, admin))),
    )
    with replicas(tmp_path, flags) as (replica,):
        replica.start()
        replica.wait_listening()
        given = registration("mounted", replica.port, ca=bundle)
        with registered(admin, given, lambda: refuses(namespace)):
            with Writer(admin, namespace.name, "target") as writer:
                for ca in (cas[1], cas[0], cas[1]):
                    pair = issue_serving(ca, ("127.0.0.1",), now, day)
                    files.put(pair)
                    wanted = inspect(pair.certificate).fingerprint
                    eventually(partial(shows, replica, wanted))
            assert writer.failures == []
            assert writer.writes > 50
    summary.append(
        f"certificates: {writer.writes} writes while mounted files were replaced 3 times, 0 failed"
    )


def test_only_callers_with_the_right_certificate_are_answered(tmp_path: Path) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    ca, stranger = issue_ca("ours", now, day), issue_ca("a stranger's", now, day)
    serving = issue_serving(ca, ("127.0.0.1",), now, day)
    for name, content in {
        "tls.crt": serving.certificate,
        "tls.key": serving.key,
        "ca.crt": ca.certificate,
        "state.yaml": b"kind: Service\nmetadata: {name: a}\n",
    }.items():
        (tmp_path / name).write_bytes(content)
    flags = (
        *("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key")),
        *("--client-ca", str(tmp_path / "ca.crt"), "--client-name", "kube-apiserver"),
        *("--state", str(tmp_path / "state.yaml")),
    )

    def ask(client: KeyPair | None) -> int | None:
        """The HTTP status; None when there is no answer at all."""
        context = ssl.create_default_context(cadata=ca.certificate.decode())
        if client is not None:
            file = tmp_path / "client.pem"
            file.write_bytes(client.key + b"\n" + client.certificate)
            context.load_cert_chain(file)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", replica.port, context=context, timeout=10
        )
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    with replicas(tmp_path, flags) as (replica,):
        replica.start()
        eventually(lambda: ask(issue_client(ca, "kube-apiserver", (), now, day)) == 200 or None)
        assert ask(None) is None
        assert ask(issue_client(stranger, "kube-apiserver", (), now, day)) is None
        assert ask(issue_client(ca, "mallory", (), now, day)) == 403
