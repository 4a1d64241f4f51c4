"""What an API server keeps of Secrets and webhook configurations, in memory, as `certs.api.Api`.

It refuses stale writes by resourceVersion, and whatever it is told to refuse. A request can be
interrupted before and after it takes effect, as by a crash, or by another replica that is quicker.
Any number of threads may use it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from certs.api import ApiRefusal, StoredSecret, WebhookConfiguration

Answer = TypeVar("Answer")

NAMESPACE = "system"
SECRET = "guard-certs"
CONFIGURATION = "guard"
WEBHOOKS = ("endpoints.guard", "slices.guard")


class Crash(BaseException):
    """The process is gone. Nothing but the test may catch this."""


@dataclass(slots=True)
class _Stored:
    version: int
    content: dict[str, bytes]


class FakeApi:
    def __init__(
        self, *configurations: str, clock: Callable[[], datetime | None] = lambda: None
    ) -> None:
        self.refusals: dict[str, int] = {}
        """Request, such as "patch Secret" or "get guard" -> HTTP status."""
        self.interrupt: Callable[[str], None] = lambda _moment: None
        """Called with "before patch Secret", then with "after patch Secret"."""
        self.requests: list[str] = []
        self._clock = clock
        self._lock = threading.RLock()
        self.version = 0  # of the newest write
        self._secrets: dict[str, _Stored] = {}
        self._configurations: dict[str, _Stored] = {}
        for name in configurations or (CONFIGURATION,):
            self.write_ca_bundles(dict.fromkeys(WEBHOOKS, b""), name)

    # What a test sees and does, as an administrator would.

    def secret(self) -> dict[str, bytes]:
        """Its data; nothing when there is no Secret."""
        stored = self._secrets.get(SECRET)
        return dict(stored.content) if stored else {}

    def write_secret(self, content: Mapping[str, bytes]) -> None:
        with self._lock:
            self._secrets[SECRET] = _Stored(self._next(), dict(content))

    def delete_secret(self) -> None:
        with self._lock:
            self._next()
            self._secrets.pop(SECRET, None)

    def ca_bundles(self, name: str = CONFIGURATION) -> dict[str, bytes]:
        return dict(self._configurations[name].content)

    def write_ca_bundles(self, content: Mapping[str, bytes], name: str = CONFIGURATION) -> None:
        with self._lock:
            self._configurations[name] = _Stored(self._next(), dict(content))

    def delete_configuration(self, name: str = CONFIGURATION) -> None:
        del self._configurations[name]

    # The Protocol.

    def get_secret(self, namespace: str, name: str) -> StoredSecret | None:
        def get() -> StoredSecret | None:
            stored = self._secrets.get(name)
            if stored is None:
                return None
            return StoredSecret(resource_version=str(stored.version), data=dict(stored.content))

        return self._request("get Secret", get)

    def create_secret(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        def create() -> None:
            if name in self._secrets:
                raise ApiRefusal(409, f'secrets "{name}" already exists')
            self._secrets[name] = _Stored(self._next(), dict(data))

        self._request("create Secret", create)

    def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes | None]
    ) -> None:
        def patch() -> None:
            stored = self._at_version(self._secrets, name, resource_version)
            merged = {**stored.content, **data}
            kept = {key: value for key, value in merged.items() if value is not None}
            self._secrets[name] = _Stored(self._next(), kept)

        self._request("patch Secret", patch)

    def get_configuration(self, name: str) -> WebhookConfiguration | None:
        def get() -> WebhookConfiguration | None:
            stored = self._configurations.get(name)
            if stored is None:
                return None
            return WebhookConfiguration(
                name=name,
                resource_version=str(stored.version),
                generation=stored.version,
                ca_bundles=dict(stored.content),
            )

        return self._request(f"get {name}", get)

    def patch_ca_bundles(
        self, name: str, resource_version: str, ca_bundles: Mapping[str, bytes]
    ) -> None:
        def patch() -> None:
            stored = self._at_version(self._configurations, name, resource_version)
            assert ca_bundles.keys() <= stored.content.keys()
            self._configurations[name] = _Stored(self._next(), {**stored.content, **ca_bundles})

        self._request(f"patch {name}", patch)

    def server_time(self) -> datetime | None:
        return self._clock()

    def _request(self, title: str, effect: Callable[[], Answer]) -> Answer:
        self.interrupt(f"before {title}")
        with self._lock:
            self.requests.append(title)
            if title in self.refusals:
                raise ApiRefusal(self.refusals[title], f"{title} is refused")
            answer = effect()
        self.interrupt(f"after {title}")
        return answer

    def _at_version(self, kept: dict[str, _Stored], name: str, version: str) -> _Stored:
        if name not in kept:
            raise ApiRefusal(404, f"{name} not found")
        if str(kept[name].version) != version:
            raise ApiRefusal(409, f"{name} has been modified")
        return kept[name]

    def _next(self) -> int:
        self.version += 1
        return self.version
