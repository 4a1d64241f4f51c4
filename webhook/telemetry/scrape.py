"""What is read at the moment when Prometheus asks, and costs nothing at any other."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from webhook.telemetry.catalogue import Metric


class Reading(NamedTuple):
    """One number, now."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()
    """In the order of the metric's labels."""


Source = Callable[[], Iterable[Reading]]
"""Asked at each scrape, from a thread of the health port."""


class Scraped(Collector):
    """The readings of all sources, as a collector of prometheus_client."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """From now on ask this one, too."""
        self._sources.append(source)

    def describe(self) -> Iterable[Family]:
        """Nothing: a registry would else ask the sources before they can answer."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Families with what the sources say now."""
        families: dict[Metric, CounterMetricFamily | GaugeMetricFamily] = {}
        for source in self._sources:
            for metric, value, labels in source():
                if metric not in families:
                    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                    families[metric] = kind(
                        metric.name, metric.meaning, labels=tuple(metric.labels)
                    )
                families[metric].add_metric(labels, value)
        yield from families.values()
