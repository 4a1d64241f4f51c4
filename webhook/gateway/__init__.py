"""The gateway: any WSGI application, served over TLS by one gunicorn worker, and a health port.

It knows nothing of admission. What it promises is that no number of silent or slow clients holds up
an honest one: the application's threads see complete requests only, everything that takes as long
as a client likes is done by one loop that waits for nobody, every connection has a deadline, and
their number and the memory they take are bounded.

What it does not do: HTTP/2, chunked requests (411), responses that are streamed (they are put
together in memory first).
"""

from webhook.gateway.plain import serve_plain
from webhook.gateway.process import serve
from webhook.gateway.settings import GatewaySettings, Limits, Listen, ListenError, PortStatus

__all__ = [
    "GatewaySettings",
    "Limits",
    "Listen",
    "ListenError",
    "PortStatus",
    "serve",
    "serve_plain",
]
