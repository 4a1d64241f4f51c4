"""Who we are to which API server: a client of the `kubernetes` package, and nothing else of it.

It gives service accounts, kubeconfigs, exec plugins, token refresh, TLS and proxies. Its models are
not used: they are slow and drop fields that they do not know. Its retries are off: they sleep as
long as a server's Retry-After says, past any deadline. No other file imports it, and this one only
inside functions, because that takes a third of a second.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from webhook.cluster.errors import ClusterConfigError

_LOOPBACK: Final = "localhost,127.0.0.0/8,::1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A way to one API server."""

    new_client: Callable[[], Any]
    """An ApiClient with credentials as they are now. Raises `ClusterConfigError`."""
    nearby: bool
    """The API server of the cluster that this Pod runs in."""


def access(kubeconfig: str | None, context: str | None, connections: int) -> Access:
    """The cluster that this Pod runs in, or else the one that a kubeconfig names.

    A kubeconfig or a context that is given wins. `connections` is how many a client keeps open.
    """
    from_file = partial(from_kubeconfig, kubeconfig, context, connections)
    if kubeconfig is not None or context is not None:
        return Access(new_client=from_file, nearby=False)
    try:
        in_cluster(connections)
    except ClusterConfigError as outside:
        return Access(new_client=partial(_outside, from_file, outside), nearby=False)
    return Access(new_client=partial(in_cluster, connections), nearby=True)


def _outside(from_file: Callable[[], Any], outside: ClusterConfigError) -> Any:
    try:
        return from_file()
    except ClusterConfigError as error:
        raise ClusterConfigError(f"{error}. Nor is this a Pod: {outside}") from None


def in_cluster(connections: int) -> Any:
    """An ApiClient with this Pod's service account. Raises `ClusterConfigError`."""
    from kubernetes.client import Configuration  # noqa: PLC0415 - see the module's docstring
    from kubernetes.config import load_incluster_config  # noqa: PLC0415

    # The API server is next door: a proxy meant for the world outside must not see the token.
    configuration = Configuration(proxy="", no_proxy="")
    try:
        load_incluster_config(configuration)
    except Exception as error:
        raise ClusterConfigError(str(error)) from error
    return _client(configuration, connections)


def from_kubeconfig(kubeconfig: str | None, context: str | None, connections: int) -> Any:
    """An ApiClient for a context of a kubeconfig file. Raises `ClusterConfigError`.

    The file is never written to, not even with a token that was refreshed.
    """
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config import kube_config  # noqa: PLC0415

    files = kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    configuration = Configuration(host="")
    # As for kubectl, loopback is never behind a proxy.
    configuration.no_proxy = ",".join(filter(None, (configuration.no_proxy, _LOOPBACK)))
    try:
        _must_exist(files)
        with _logged_errors() as errors:
            kube_config.load_kube_config(files, context, configuration, persist_config=False)
        _must_be_complete(configuration, errors)
        return _client(configuration, connections)
    except Exception as error:
        raise ClusterConfigError(_problem(files, context, error)) from error


def _client(configuration: Any, connections: int) -> Any:
    from kubernetes.client import ApiClient  # noqa: PLC0415

    configuration.retries = False
    configuration.connection_pool_maxsize = connections
    configuration.keep_alive = True
    return ApiClient(configuration)


def _must_exist(files: str) -> None:
    # The package skips files that are missing, and then says only that something is invalid.
    if not any(Path(file).expanduser().is_file() for file in files.split(":") if file):
        raise ValueError("there is no such file")


def _must_be_complete(configuration: Any, errors: list[str]) -> None:
    if errors:
        raise ValueError("; ".join(errors))
    if not configuration.host:
        raise ValueError("the cluster has no server")


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    """What the package logs at ERROR: of an exec plugin that fails it says no more, and goes on
    without credentials.
    """
    errors: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield errors
    finally:
        logging.getLogger().removeHandler(handler)


def _problem(files: str, context: str | None, error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    named = f", context {context}" if context else ""
    flag = f" --context {context}" if context else ""
    return (
        f"kubeconfig {files}{named}: {said}. Name another with --kubeconfig FILE, --context NAME "
        f"or KUBECONFIG; this must work: kubectl --kubeconfig {files}{flag} version"
    )
