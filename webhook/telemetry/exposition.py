"""The metrics of one process as Prometheus reads them."""

import platform
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from webhook import __version__
from webhook.telemetry import catalogue
from webhook.telemetry.scrape import Reading, Scraped, Source

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """What the process itself uses, what runs, and whatever sources say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._scraped = Scraped()
        self.registry.register(self._scraped)
        ProcessCollector(registry=self.registry)
        self.export(_build)

    def export(self, source: Source) -> None:
        """Ask this source, too, whenever Prometheus asks."""
        self._scraped.add(source)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


def _build() -> tuple[Reading, ...]:
    return (Reading(catalogue.BUILD_INFO, 1, (__version__, platform.python_version())),)
