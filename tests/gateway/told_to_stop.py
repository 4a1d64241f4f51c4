"""An application whose worker is told to stop while it is being born: by the arbiter, which heard
of it just after it had forked.
"""

import os
import signal
import time

from tests.gateway.apps import app
from webhook.gateway.process import GatewayWorker

__all__ = ["app"]

_SECONDS = 5.0
_init_signals = GatewayWorker.init_signals


def _told_to_stop(worker: GatewayWorker) -> None:
    os.kill(worker.ppid, signal.SIGTERM)
    until = time.monotonic() + _SECONDS
    while signal.SIGTERM not in signal.sigpending() and time.monotonic() < until:
        time.sleep(0.002)
    _init_signals(worker)


GatewayWorker.init_signals = _told_to_stop
