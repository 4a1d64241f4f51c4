"""What happened, for people and for Prometheus: one log line where it matters, and the metrics.

`catalogue` says which metrics there are; `counters` counts what requests come to; `scrape` reads
everything else at the moment when Prometheus asks; `lines` and `ration` are the log's form and its
limit; `denial` says what a denial rested on. `Telemetry` is all of it, for one process that serves;
`Exposition` are the metrics alone.

Labels have few values only: never a namespace, a name or a user. Log lines never hold a token, a
header, an annotation or a whole object.
"""

from webhook.telemetry.exposition import METRICS_TYPE, Exposition
from webhook.telemetry.lines import LOG, configure_logging
from webhook.telemetry.process import Telemetry

__all__ = ["LOG", "METRICS_TYPE", "Exposition", "Telemetry", "configure_logging"]
