"""Starts webhook.gateway in a process of its own, with an application of the test's choice.

    with GatewayProcess(app="tests.gateway.apps:app", certificate=certificate) as gateway:
        connection = gateway.https()

The process is this module run as a program: it is told what to do in one JSON argument, and says on
standard output where it listens. It is stopped by its own process id.
"""

import http.client
import importlib
import json
import logging
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from webhook.gateway import GatewaySettings, Limits, Listen, ListenError, serve

_ROOT = Path(__file__).parents[1]
_STOP_SECONDS = 20
_NOWHERE = ("", 0)


class ServingCertificate:
    """A certificate for 127.0.0.1 with its key, in one PEM file, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "serving.pem"
        self.authority_file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(self.authority_file)
        self.renew()

    def renew(self) -> None:
        """Replace the file, at once, by another certificate of the same authority."""
        new = self.file.with_suffix(".new")
        new.write_bytes(self._issue().private_key_and_cert_chain_pem.bytes())
        new.replace(self.file)

    def client_context(
        self, *, version: ssl.TLSVersion | None = None, identified: bool = False
    ) -> ssl.SSLContext:
        """A context that trusts the certificate; `identified` has a client certificate too."""
        context = ssl.create_default_context(cafile=self.authority_file)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if identified:
            self._issue().configure_cert(context)
        return context

    def _issue(self) -> trustme.LeafCert:
        return self._authority.issue_cert("127.0.0.1")


class GatewayProcess:
    """A running gateway. The applications and the hooks are named as `module:attribute`.

    `limits` and `health_limits` are fields of webhook.gateway.Limits. `open_files` limits the
    process's file descriptors. `stock` serves the same application with gunicorn's own worker.
    """

    def __init__(
        self,
        *,
        app: str,
        certificate: ServingCertificate,
        prompt_app: str | None = None,
        health_app: str | None = None,
        listen: str = "127.0.0.1:0",
        limits: Mapping[str, float] | None = None,
        health_limits: Mapping[str, float] | None = None,
        drain_seconds: float = 0.0,
        graceful_seconds: float = 10.0,
        on_worker_start: str | None = None,
        on_serving: str | None = None,
        on_drain: str | None = None,
        client_authority: Path | None = None,
        open_files: int | None = None,
        stock: bool = False,
    ) -> None:
        self._certificate = certificate
        self._argument = {
            "app": app,
            "prompt_app": prompt_app,
            "health_app": health_app,
            "certificate": str(certificate.file),
            "client_authority": client_authority and str(client_authority),
            "listen": listen,
            "limits": dict(limits or {}),
            "health_limits": dict(health_limits or {}),
            "drain_seconds": drain_seconds,
            "graceful_seconds": graceful_seconds,
            "on_worker_start": on_worker_start,
            "on_serving": on_serving,
            "on_drain": on_drain,
            "open_files": open_files,
            "stock": stock,
        }
        self.address = self.health_address = _NOWHERE

    def __enter__(self) -> Self:
        """Start it. The addresses stay empty when it ends without listening."""
        with ExitStack() as stack:
            self._log = stack.enter_context(tempfile.TemporaryFile())
            self._process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.gateway_process", json.dumps(self._argument)],
                    stdout=subprocess.PIPE,
                    stderr=self._log,
                    cwd=_ROOT,
                )
            )
            stack.callback(self.stop, signal.SIGINT)
            assert self._process.stdout is not None
            if line := self._process.stdout.readline():
                listening = json.loads(line)
                self.address = tuple(listening["tls"])
                self.health_address = tuple(listening["health"] or _NOWHERE)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that serve: children of the one that was started."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(child) for child in children.split()]

    @property
    def descriptors(self) -> int:
        """How many file descriptors the worker has open, sockets of clients among them."""
        return len(list(Path(f"/proc/{self.workers[0]}/fd").iterdir()))

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode()

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = _STOP_SECONDS) -> int:
        """Return the exit status."""
        return self._process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, if it still runs, and return the exit status.

        What does not stop is killed, since nobody else would end it. Raises TimeoutExpired then,
        unless it is gunicorn's own worker, which was seen to miss a signal while it started.
        """
        if self._process.poll() is None:
            self.send_signal(number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            for pid in (*self.workers, self.pid):
                os.kill(pid, signal.SIGKILL)
            if not self._argument["stock"]:
                raise
            return self.wait()

    def dial(self) -> socket.socket:
        """A TCP connection to the TLS port."""
        return socket.create_connection(self.address, timeout=10)

    def dial_tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """The same, with the handshake done."""
        context = context or self._certificate.client_context()
        return context.wrap_socket(self.dial(), server_hostname=self.address[0])

    def https(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        """A client that keeps its connection alive."""
        context = context or self._certificate.client_context()
        return http.client.HTTPSConnection(*self.address, context=context, timeout=10)

    def health(self) -> http.client.HTTPConnection:
        """A client of the health port."""
        return http.client.HTTPConnection(*self.health_address, timeout=10)


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what `condition` returns as soon as that is true."""
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)
    return result


def _named(name: str | None) -> Any:
    if name is None:
        return None
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _tls_context(argument: Mapping[str, Any]) -> Callable[[], ssl.SSLContext]:
    """What a certificate source does: a context from memory, a new one when the file is new."""

    @cache
    def build(_version: tuple[int, int]) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(argument["certificate"])
        if argument["client_authority"]:
            context.load_verify_locations(argument["client_authority"])
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def current() -> ssl.SSLContext:
        status = Path(argument["certificate"]).stat()
        return build((status.st_ino, status.st_mtime_ns))

    return current


def _serve(argument: Mapping[str, Any]) -> int:
    settings = GatewaySettings(
        listen=Listen.parse(argument["listen"]),
        health_listen=Listen.parse("127.0.0.1:0"),
        limits=Limits(**argument["limits"]),
        health_limits=Limits(**argument["health_limits"]),
        drain_seconds=argument["drain_seconds"],
        graceful_seconds=argument["graceful_seconds"],
    )
    try:
        return serve(
            settings,
            app=_named(argument["app"]),
            prompt_app=_named(argument["prompt_app"]),
            health_app=_named(argument["health_app"]),
            tls_context=_tls_context(argument),
            on_listening=_say_listening,
            on_worker_start=_named(argument["on_worker_start"]) or _nothing,
            on_serving=_named(argument["on_serving"]) or _nothing,
            on_drain=_named(argument["on_drain"]) or _nothing,
        )
    except ListenError as error:
        print(error, file=sys.stderr)
        return 2


def _serve_stock(argument: Mapping[str, Any]) -> None:
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415 - not needed by the others

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    tls_context = _tls_context(argument)

    def say_started(_worker: object) -> None:
        _say_listening(address, None)

    class Stock(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"fd://{listener.fileno()}")
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", argument["limits"]["threads"])
            self.cfg.set("keepalive", 120)
            self.cfg.set("loglevel", "warning")
            self.cfg.set("control_socket_disable", True)
            self.cfg.set("certfile", argument["certificate"])
            self.cfg.set("ssl_context", lambda _cfg, _default: tls_context())
            self.cfg.set("post_worker_init", say_started)

        def load(self) -> Any:
            return _named(argument["app"])

    Stock().run()


def _nothing(*_: object) -> None:
    pass


def _say_listening(tls: tuple[str, int], health: tuple[str, int] | None) -> None:
    print(json.dumps({"tls": tls, "health": health}), flush=True)


def main() -> int:
    argument = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO)
    if argument["open_files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (argument["open_files"],) * 2)
    if argument["stock"]:
        _serve_stock(argument)
    return _serve(argument)


if __name__ == "__main__":
    sys.exit(main())
