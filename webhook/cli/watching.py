"""`audit --watch`: the process that goes on auditing, tells what changes, and exports how it is."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from time import monotonic, time
from typing import Any, Final

import click
import msgspec
from msgspec import Struct

from webhook.cli import readings
from webhook.cli.problems import UsageProblem
from webhook.cli.publishing import Publishing
from webhook.cluster.api import ClusterApi
from webhook.cluster.audit_watch import AuditWatch, News
from webhook.cluster.policies import PolicySource
from webhook.core.formats.wording import called, sentence
from webhook.core.text import one_line
from webhook.gateway import Listen, ListenError, serve_plain
from webhook.server import create_health_app
from webhook.telemetry import LOG, Exposition, configure_logging

TURN_SECONDS: Final = 0.5
"""Between two looks at what has changed."""
PUBLISH_SECONDS: Final = 30.0
"""Between two writes of policy reports, at the least: a rollout changes much at once."""
_LONGEST_LINE: Final = 2000


class Watching(Struct, frozen=True, kw_only=True):
    """What the flags for `--watch` ask for."""

    as_json: bool
    health_listen: Listen
    publishing: Publishing
    namespaces: frozenset[str]


def watch(api: ClusterApi, audit: AuditWatch, policies: PolicySource, asked: Watching) -> None:
    """Go on until SIGTERM or SIGINT. Raises `UsageProblem` when the port cannot be had."""
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    _serve_health(audit, policies, asked.health_listen)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    publisher = _Publisher(api, audit, asked)
    audit.start()
    while not stopping.wait(TURN_SECONDS):
        news = audit.turn()
        for line in _lines(news, as_json=asked.as_json):
            click.echo(line)
        publisher.turn(changed=bool(news))
    audit.stop()


def _serve_health(audit: AuditWatch, policies: PolicySource, listen: Listen) -> None:
    exposition = Exposition()
    exposition.export(partial(readings.of_informers, audit.informers.status, time))
    exposition.export(partial(readings.of_policy, policies, time))
    exposition.export(partial(readings.of_audit, audit.numbers, time))
    try:
        host, port = serve_plain(listen, create_health_app(exposition, audit.conditions))
    except ListenError as error:
        raise UsageProblem(str(error)) from error
    address = str(Listen(host=host, port=port))
    LOG.info("listening on %s", address, extra={"facts": {"health_listen": address}})


class _Publisher:
    """Policy reports that follow, but not every step."""

    def __init__(
        self,
        api: ClusterApi,
        audit: AuditWatch,
        asked: Watching,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._api = api
        self._audit = audit
        self._asked = asked
        self._clock = clock
        self._due = True
        self._next = float("-inf")

    def turn(self, *, changed: bool) -> None:
        """Write them, if something changed since they were written and it is time."""
        self._due = self._due or changed
        ready = self._audit.settled and self._clock() >= self._next
        if self._due and ready and self._asked.publishing.wanted:
            self._next = self._clock() + PUBLISH_SECONDS
            asked = self._asked
            written = asked.publishing.publish(self._api, self._audit.report(), asked.namespaces)
            self._due = not written


def _lines(news: Iterable[News], *, as_json: bool) -> Iterator[str]:
    for each in news:
        yield _as_json(each) if as_json else _as_text(each)


def _as_text(news: News) -> str:
    finding, rule = news.finding, news.finding.rule
    event = "resolved" if news.resolved else "new"
    what = f"{rule.code} {called(news.judged.ref)} at {finding.violation.field}"
    return one_line(f"{event:<8} {finding.action:<5} {what}: {sentence(finding)}", _LONGEST_LINE)


def _as_json(news: News) -> str:
    finding, ref = news.finding, news.judged.ref
    fields: dict[str, Any] = {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event": "resolved" if news.resolved else "new",
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "rule": finding.rule.code,
        "slug": finding.rule.slug,
        "action": finding.action,
        "field": finding.violation.field,
        "message": finding.violation.message,
        "detail": finding.violation.detail,
    }
    return msgspec.json.encode(fields).decode()
