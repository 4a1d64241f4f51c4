"""WSGI applications and hooks for the gateway's tests."""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from webhook.gateway import PortStatus

LARGE_BYTES = 5 * 2**20

_draining = threading.Event()
_hoard: list[int] = []
_statuses: list[Callable[[], PortStatus]] = []


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer by path; what is not a path below is echoed."""
    return _ROUTES.get(environ["PATH_INFO"], _echo)(environ, start_response)


def prompt(environ: dict[str, Any], start_response: Any) -> Iterable[bytes] | None:
    """Leave what is not asked for under /prompt to `app`, after having read it."""
    body = environ["wsgi.input"].read()
    match environ["PATH_INFO"]:
        case "/prompt/thread":
            return _thread(environ, start_response)
        case "/prompt/large":
            return _large(environ, start_response)
        case "/prompt/fail":
            raise RuntimeError("the application's own mistake")
        case "/prompt/echo":
            return _answer(start_response, body)
    return None


def health(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Say whether the process is ready, or how its TLS port is doing."""
    if environ["PATH_INFO"] == "/status":
        (status,) = _statuses
        return _answer(start_response, json.dumps(asdict(status())).encode())
    if _draining.is_set():
        return _answer(start_response, b"draining", "503 Service Unavailable")
    return _answer(start_response, b"ready")


def serving(status: Callable[[], PortStatus]) -> None:
    """Remember whom to ask."""
    _statuses.append(status)


def start_draining() -> None:
    _draining.set()


def fail_to_start() -> None:
    raise RuntimeError("the moon is in the wrong phase")


def hoard_files() -> None:
    """Leave fewer file descriptors than the gateway reserves for others."""
    _hoard.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(250))


def _answer(start_response: Any, body: bytes, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]


def _echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return _answer(start_response, environ["wsgi.input"].read())


def _large(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return _answer(start_response, b"x" * LARGE_BYTES)


def _environ(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Describe the request: every variable that JSON can hold, and the body by lines."""
    plain = {name: value for name, value in environ.items() if isinstance(value, str | bool | list)}
    plain["lines"] = [line.decode() for line in environ["wsgi.input"]]
    plain["certificate"] = environ["ssl.peer_certificate"]
    return _answer(start_response, json.dumps(plain).encode())


def _sleep(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    time.sleep(float(environ["QUERY_STRING"]))
    return _answer(start_response, b"slept")


def _thread(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return _answer(start_response, threading.current_thread().name.encode())


def _wait(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer when there is a file of the name given. Another one beside it says that we wait."""
    go = Path(environ["QUERY_STRING"])
    go.with_suffix(f".{threading.get_ident()}").touch()
    while not go.exists():
        time.sleep(0.01)
    return _answer(start_response, b"waited")


def _fail(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    raise RuntimeError("the application's own mistake")


def _exit(_environ: dict[str, Any], _start_response: Any) -> list[bytes]:
    raise SystemExit(1)


def _generated(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"one "
    yield b"two"


def _process(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return _answer(start_response, str(os.getpid()).encode())


def _interpreter(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    settings = {"switch": sys.getswitchinterval(), "frozen": gc.get_freeze_count()}
    return _answer(start_response, json.dumps(settings).encode())


_ROUTES: dict[str, Callable[[dict[str, Any], Any], Iterable[bytes]]] = {
    "/environ": _environ,
    "/exit": _exit,
    "/fail": _fail,
    "/generated": _generated,
    "/interpreter": _interpreter,
    "/large": _large,
    "/process": _process,
    "/sleep": _sleep,
    "/thread": _thread,
    "/prompt/thread": _thread,
    "/wait": _wait,
}
