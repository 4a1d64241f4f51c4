"""Events at random, but repeatable, in several namespaces at once: nothing stays as it is."""

import random
import threading
import time
from collections import Counter

from tests.e2e.api import path
from tests.e2e.cluster import Namespace, endpoints
from tests.e2e.differential.pod_events import APPS, FEWEST, AddressPool, PodEvents
from tests.e2e.differential.service_events import ServiceEvents

SERVICES = APPS
"""What has a selector in the end."""
LONGEST = 60.0
"""Seconds, for a machine that is busy with other things."""


class Storm:
    """The events of one namespace."""

    def __init__(self, namespace: Namespace, addresses: AddressPool, seed: int) -> None:
        self.namespace = namespace
        self.events: Counter[str] = Counter()
        """How often what has happened."""
        self._dice = random.Random(seed)
        self._pods = PodEvents(namespace, addresses, self._dice)
        self._services = ServiceEvents(namespace, self._dice)

    def rage(self, events: int, deadline: float) -> None:
        """Begin, so many events unless it takes too long, and Services that select in the end."""
        table = self._pods.table() | self._services.table()
        choices, weights = list(table), list(table.values())
        self._services.begin()
        for _ in range(FEWEST):
            self._pods.create_pod()
        for _ in range(events):
            if time.monotonic() > deadline:
                break
            [event] = self._dice.choices(choices, weights)
            self.events[event.__name__.replace("_", " ")] += event()
        self._services.settle()

    def clear(self) -> None:
        """Leave a namespace that can be deleted, and something that only this will remove."""
        api, name = self.namespace.api, self.namespace.name
        self.namespace.create(endpoints("nobodys", {"ip": "198.51.100.7"}))
        # Without a kubelet nobody would confirm the end of a Pod.
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        api.call("DELETE", path("Pod", name), options).must()
        api.delete("Namespace", "", name).must()


def rage_at_once(storms: list[Storm], events: int) -> None:
    """So many events in each namespace, or those that there is time for."""
    deadline = time.monotonic() + LONGEST
    failures: list[BaseException] = []

    def run(storm: Storm) -> None:
        try:
            storm.rage(events, deadline)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(storm,)) for storm in storms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def tally(storms: list[Storm]) -> str:
    """What has happened, most often first."""
    events = sum((storm.events for storm in storms), Counter[str]())
    return ", ".join(f"{name} {count}" for name, count in events.most_common())
