"""Somebody without trust who copies, during the storm, what there is, and changes one thing.

Each change is wrong whatever state the Service is in at that moment, so none may come through.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from tests.e2e.api import Answer, Api, Json
from tests.e2e.cluster import Namespace, entries, eventually, knows_foreign, pod, stripped
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import writer

MALLORY = "mallory"
PAUSE = 0.1
"""Seconds between two attempts."""


class Mallory:
    """Tries as long as the storm lasts."""

    def __init__(
        self, api: Api, namespaces: Sequence[Namespace], victim: Json, dice: random.Random
    ) -> None:
        self._api = api
        self._namespaces = namespaces
        self._victim = victim
        self._dice = dice
        self._enough = threading.Event()
        self.refused = 0
        self.too_late = 0
        """The object had changed or gone before the copy arrived."""
        self.let_through: list[str] = []

    @classmethod
    @contextmanager
    def at_work(
        cls, plane: ControlPlane, admin: Api, namespaces: Sequence[Namespace], seed: int
    ) -> Iterator[Self]:
        victim = Namespace(admin, "mallorys-victim").run(pod("vault", labels={"app": "vault"}))
        probe = Namespace(admin, "mallorys-probe", "default")
        eventually(lambda: knows_foreign(probe, victim))
        api = Api(writer(plane, admin, MALLORY))
        mallory = cls(api, namespaces, victim, random.Random(seed))
        thread = threading.Thread(target=mallory._work, daemon=True)
        thread.start()
        try:
            yield mallory
        finally:
            mallory._enough.set()
            thread.join(30)
            api.close()

    def tally(self) -> str:
        return (
            f"{self.refused} refused, {self.too_late} too late to be judged, "
            f"{len(self.let_through)} let through"
        )

    def _work(self) -> None:
        while not self._enough.wait(PAUSE):
            kind = self._dice.choice(("Endpoints", "EndpointSlice"))
            namespace = self._dice.choice(self._namespaces).name
            found = [each for each in self._api.items(kind, namespace) if entries(each)]
            if found:
                self._try(stripped(self._dice.choice(found)))

    def _try(self, copy: Json) -> None:
        entry = self._dice.choice(entries(copy))
        changes = [self._take_address, self._claim_namespace, self._claim_uid, self._claim_name]
        change: Callable[[Json, str], object] = self._dice.choice(changes)
        if "targetRef" not in entry:
            change = self._take_address
        change(entry, copy["kind"])
        answer = self._write(copy)
        if answer.status in (404, 409):
            self.too_late += 1
        elif answer.rules and answer.status in (403, 422):
            self.refused += 1
        else:
            self.let_through.append(f"{change.__name__}: {answer.status} {answer.message} {copy}")

    def _write(self, copy: Json) -> Answer:
        if copy["kind"] == "EndpointSlice" and self._dice.random() < 0.5:
            copy["metadata"]["name"] = f"copy-{self._dice.randrange(10**9)}"
            return self._api.create(copy)
        return self._api.replace(copy)

    def _take_address(self, entry: Json, kind: str) -> None:
        ipv4 = self._victim["status"]["podIP"]
        entry.update({"ip": ipv4} if kind == "Endpoints" else {"addresses": [ipv4]})

    def _claim_namespace(self, entry: Json, _: str) -> None:
        entry["targetRef"]["namespace"] = self._victim["metadata"]["namespace"]

    def _claim_uid(self, entry: Json, _: str) -> None:
        entry["targetRef"]["uid"] = self._victim["metadata"]["uid"]

    def _claim_name(self, entry: Json, _: str) -> None:
        entry["targetRef"]["name"] = "nobody"
