"""The life of the serving process: gunicorn's arbiter, its one worker, two ports.

The arbiter holds the sockets, starts the worker, watches its heartbeat and starts another when it
dies. There is one worker only, because it holds the one cache of the cluster.
"""

import gc
import logging
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from webhook.gateway.connection import TlsContext
from webhook.gateway.http import Applications, PromptApplication, WsgiApplication, settled
from webhook.gateway.loop import ConnectionLoop
from webhook.gateway.settings import GatewaySettings, Limits, ListenError, PortStatus

Address = tuple[str, int]
_Health = tuple[WsgiApplication, socket.socket]

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat file, which has no name there
# A thread that computes gives way this soon to the loop, which asks after each of its system calls:
# with Python's own 5 ms, a list of Pods that comes in makes every request wait for 15 ms and more.
_SWITCH_SECONDS = 0.0005
# For the health port, the informers, files, and what Python itself opens.
_RESERVED_DESCRIPTORS = 256

_log = logging.getLogger(__name__)


def _nothing(*_: object) -> None:
    """For a caller that does not want to be called back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """What `serve` was asked to do."""

    settings: GatewaySettings
    apps: Applications
    tls_context: TlsContext
    health: _Health | None
    on_worker_start: Callable[[], None]
    on_serving: Callable[[Callable[[], PortStatus]], None]
    on_drain: Callable[[], None]


def serve(  # noqa: PLR0913 - all the wiring of a process
    settings: GatewaySettings,
    *,
    app: WsgiApplication,
    tls_context: TlsContext,
    prompt_app: PromptApplication | None = None,
    health_app: WsgiApplication | None = None,
    on_listening: Callable[[Address, Address | None], None] = _nothing,
    on_worker_start: Callable[[], None] = _nothing,
    on_serving: Callable[[Callable[[], PortStatus]], None] = _nothing,
    on_drain: Callable[[], None] = _nothing,
) -> int:
    """Serve until SIGTERM (gently) or SIGINT (at once). Return the exit status: 0, or 3 when
    the worker could not start.

    `prompt_app` is shown the small requests of the TLS port before `app` is, in the loop that
    serves every client: it may answer from memory, never wait.
    `tls_context` is asked once per connection, and should answer from memory.
    `on_listening` is told both addresses, as bound, before the worker starts.
    `on_worker_start` runs in the worker process, where threads are to be started; it should return
    soon, and what it raises ends the whole process. `on_serving` is told there whom to ask how the
    TLS port is doing. `on_drain` runs there when SIGTERM has come.

    To be called in the main thread, before any other thread is started, because it forks. Only the
    calling process returns from it. Raises ListenError.
    """
    listener, health = _bind(settings, health_app)
    on_listening(_address(listener), _address(health[1]) if health else None)
    service = _Service(
        settings=settings,
        apps=Applications(app, prompt_app) if prompt_app else Applications(app),
        tls_context=tls_context,
        health=health,
        on_worker_start=on_worker_start,
        on_serving=on_serving,
        on_drain=on_drain,
    )
    _flush()  # Else the worker, which inherits the buffers, would print them again.
    status = 1
    parent = os.getpid()
    try:
        _OneWorkerArbiter(_Application(service, listener)).run()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 0
    finally:
        if os.getpid() != parent:
            _leave(status)
    return status


def _leave(status: int) -> None:
    """End the worker here, neither unwinding the caller's stack a second time nor waiting for
    threads, of which one may be in a request that takes long.
    """
    logging.shutdown()
    _flush()
    os._exit(status & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _bind(
    settings: GatewaySettings, health_app: WsgiApplication | None
) -> tuple[socket.socket, _Health | None]:
    listener = settings.listen.bind()
    if health_app is None or settings.health_listen is None:
        return listener, None
    try:
        return listener, (health_app, settings.health_listen.bind())
    except ListenError:
        listener.close()
        raise


def _address(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return host, port


class _Logger(Logger):  # type: ignore[misc]
    """Sends what gunicorn says to the root logger, which the program has configured."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)  # Its INFO is about itself.


class _OneWorkerArbiter(Arbiter):  # type: ignore[misc]
    """An arbiter that cannot be told to have a second worker, nor to start itself over."""

    def handle_ttin(self) -> None:
        _log.warning("signal ignored: there is one worker, which holds the cache")

    handle_ttou = handle_usr2 = handle_ttin

    def spawn_worker(self) -> Any:
        """Fork. SIGTERM waits until the worker has handlers of its own: ours would lose it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = super().spawn_worker()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return pid


class _Application(BaseApplication):  # type: ignore[misc]
    """gunicorn's settings for a service."""

    def __init__(self, service: _Service, listener: socket.socket) -> None:
        self.service = service
        self._descriptor = listener.detach()
        super().__init__()

    def load_config(self) -> None:
        settings = self.service.settings
        values = {
            "bind": [f"fd://{self._descriptor}"],
            "workers": 1,
            "worker_class": GatewayWorker,
            "graceful_timeout": math.ceil(settings.drain_seconds + settings.graceful_seconds) + 2,
            "post_worker_init": _start,
            "logger_class": _Logger,
            "proc_name": "endpoints-guard",
            "worker_tmp_dir": _heartbeat_folder(),
            "control_socket_disable": True,
            "http_parser": "python",
            # Nobody in front of us may say who the client is, or what the scheme.
            "forwarded_allow_ips": "",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApplication:
        return self.service.apps.app


def _heartbeat_folder() -> str | None:
    """Memory, where there is such a folder: a container's root file system may be read-only."""
    writable = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    return str(_SHARED_MEMORY) if writable else None


def _start(worker: "GatewayWorker") -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # threads would inherit it
    try:
        worker.app.service.on_worker_start()
    except Exception as error:
        _log.critical("cannot start: %s", error, exc_info=True)
        sys.exit(Arbiter.WORKER_BOOT_ERROR)


class GatewayWorker(Worker):  # type: ignore[misc]
    """Runs the TLS port's loop in the main thread and the health port's in a second one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loop: ConnectionLoop | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.wake()

    def run(self) -> None:
        """Serve until a signal comes; called by `init_process`."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # What there is now stays: no collection needs to look at it again.
        service: _Service = self.app.service
        loop = self._loop = ConnectionLoop(
            self.sockets[0].sock,
            service.apps,
            tls_context=service.tls_context,
            limits=_fitting(service.settings.limits),
            cfg=settled(self.cfg, is_ssl=True),
            on_tick=self._tick,
        )
        service.on_serving(loop.status)
        if service.health is not None:
            health = partial(self._serve_health, service, *service.health)
            threading.Thread(target=health, name="health", daemon=True).start()
        while self.alive:
            loop.turn()
        self._drain(loop, service)

    def _tick(self) -> None:
        self.notify()
        if os.getppid() != self.ppid:
            self.alive = False

    def _drain(self, loop: ConnectionLoop, service: _Service) -> None:
        """Lose no request: go on for a while as before, then finish what has begun."""
        try:
            service.on_drain()
        except Exception:
            _log.exception("on_drain failed")
        loop.drain()
        until = time.monotonic() + service.settings.drain_seconds
        while time.monotonic() < until:
            loop.turn()
        loop.stop_accepting()
        until = time.monotonic() + service.settings.graceful_seconds
        while time.monotonic() < until and loop.status().connections:
            loop.turn()

    def _serve_health(
        self, service: _Service, app: WsgiApplication, listener: socket.socket
    ) -> None:
        loop = ConnectionLoop(
            listener,
            Applications(app),
            tls_context=None,
            limits=service.settings.health_limits,
            cfg=settled(self.cfg, is_ssl=False),
        )
        while True:
            loop.turn()


def _fitting(limits: Limits) -> Limits:
    """Raise the number of files we may open as far as needed and allowed, and live with it."""
    wanted = limits.max_connections + _RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
        soft = granted
    fitting = min(limits.max_connections, max(limits.threads, soft - _RESERVED_DESCRIPTORS))
    if fitting < limits.max_connections:
        _log.warning("only %d open files are allowed: at most %d connections", soft, fitting)
    return replace(limits, max_connections=fitting)
