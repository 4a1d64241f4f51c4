"""A plain port of a process that is no webhook: probes and metrics, and nobody holds them up."""

import socket
import threading

from gunicorn.config import Config

from webhook.gateway.http import Applications, WsgiApplication, settled
from webhook.gateway.loop import ConnectionLoop
from webhook.gateway.settings import HEALTH_LIMITS, Listen


def serve_plain(listen: Listen, app: WsgiApplication) -> tuple[str, int]:
    """Serve from now on, in a daemon thread, as long as the process lives. Gives the address.

    Raises `ListenError`.
    """
    listener: socket.socket = listen.bind()
    cfg = Config()
    cfg.set("http_parser", "python")
    cfg.set("forwarded_allow_ips", "")
    loop = ConnectionLoop(
        listener,
        Applications(app),
        tls_context=None,
        limits=HEALTH_LIMITS,
        cfg=settled(cfg, is_ssl=False),
    )

    def serve() -> None:
        while True:
            loop.turn()

    threading.Thread(target=serve, name="health", daemon=True).start()
    host, port = listener.getsockname()[:2]
    return host, port
