"""What happens to the Pods of a namespace: they come, go, move, and inherit addresses."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.api import Json
from tests.e2e.cluster import NODES, Namespace, pod

APPS = ("shop", "cart", "search", "mail")
TIERS = ("front", "back")
FEWEST, MOST = 25, 60
"""Pods at one time."""
CONTAINER_PORTS: tuple[list[Json], ...] = (
    [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
    [
        {"name": "http", "containerPort": 8081},
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    ],
    [{"name": "metrics", "containerPort": 9100}],
)

Ips = tuple[str, str]
"""IPv4 and IPv6."""


class AddressPool:
    """Few addresses for many Pods: what is given back is given out again at once."""

    def __init__(self, number: int, size: int) -> None:
        self._free = [
            (f"10.{number}.{n >> 8}.{n & 255}", f"fd00:{number}::{n:x}") for n in range(1, size + 1)
        ]
        self._lock = threading.Lock()

    def take(self) -> Ips:
        with self._lock:
            return self._free.pop()

    def give_back(self, ips: Ips) -> None:
        with self._lock:
            self._free.append(ips)


@dataclass(slots=True, kw_only=True)
class Running:
    """A Pod as far as the events need to know."""

    name: str
    labels: dict[str, str]
    ips: Ips
    ready: bool = True
    leaving: bool = False
    ended: bool = False


class PodEvents:
    """Each event is a method; it says whether there was a Pod that it could happen to."""

    def __init__(self, namespace: Namespace, addresses: AddressPool, dice: random.Random) -> None:
        self._namespace = namespace
        self._addresses = addresses
        self._dice = dice
        self._pods: dict[str, Running] = {}
        self._created = 0

    def table(self) -> dict[Callable[[], bool], float]:
        """The events, with how often they happen."""
        return {
            self.create_pod: 22,
            self.flip_readiness: 24,
            self.relabel_pod: 10,
            self.delete_pod: 9,
            self.begin_termination: 8,
            self.finish_termination: 8,
            self.recreate_pod: 8,
            self.change_ips: 5,
            self.end_pod: 5,
            self.roll_out: 0.6,
        }

    def create_pod(self) -> bool:
        if len(self._pods) >= MOST:
            return self.delete_pod()
        self._created += 1
        self._run(f"{self._dice.choice(APPS)}-{self._created}", self._addresses.take())
        return True

    def flip_readiness(self) -> bool:
        chosen = self._some(lambda p: not p.ended)
        if chosen:
            chosen.ready = not chosen.ready
            self._report(chosen)
        return bool(chosen)

    def relabel_pod(self) -> bool:
        chosen = self._some(lambda p: not p.ended)
        if chosen:
            key = self._dice.choice(("app", "tier"))
            chosen.labels[key] = self._dice.choice(APPS if key == "app" else TIERS)
            self._namespace.patch("Pod", chosen.name, {"metadata": {"labels": chosen.labels}})
        return bool(chosen)

    def delete_pod(self) -> bool:
        chosen = self._some(lambda _: True) if len(self._pods) > FEWEST else None
        if chosen:
            self._remove(chosen)
        return bool(chosen)

    def begin_termination(self) -> bool:
        chosen = self._some(lambda p: not p.leaving and not p.ended)
        if chosen:
            chosen.leaving = True
            self._namespace.delete("Pod", chosen.name, gracePeriodSeconds=30).must()
        return bool(chosen)

    def finish_termination(self) -> bool:
        chosen = self._some(lambda p: p.leaving and not p.ended)
        if chosen:
            self._remove(chosen)
        return bool(chosen)

    def recreate_pod(self) -> bool:
        """As a StatefulSet does: the same name, another Pod, the same address or another."""
        chosen = self._some(lambda p: not p.ended)
        if chosen:
            other = self._addresses.take() if self._dice.random() < 0.5 else None
            self._remove(chosen)
            self._run(chosen.name, other or self._addresses.take())
        return bool(chosen)

    def change_ips(self) -> bool:
        """As after the sandbox was made anew."""
        chosen = self._some(lambda p: not p.ended)
        if chosen:
            before, chosen.ips = chosen.ips, self._addresses.take()
            self._report(chosen)
            self._addresses.give_back(before)
        return bool(chosen)

    def end_pod(self) -> bool:
        """As a Job's Pod does; it keeps its addresses in its status, and others get them."""
        chosen = self._some(lambda p: not p.ended and not p.leaving)
        if chosen:
            chosen.ended, chosen.ready = True, False
            self._report(chosen, phase=self._dice.choice(("Succeeded", "Failed")))
            self._addresses.give_back(chosen.ips)
        return bool(chosen)

    def roll_out(self) -> bool:
        app = self._dice.choice(APPS)
        for old in [p for p in self._pods.values() if p.labels["app"] == app]:
            self._remove(old)
            self.create_pod()
        return True

    def _run(self, name: str, ips: Ips) -> None:
        app, tier = self._dice.choice(APPS), self._dice.choice(TIERS)
        made = Running(name=name, labels={"app": app, "tier": tier}, ips=ips)
        made.ready = self._dice.random() < 0.8
        spec = {"hostname": name, "subdomain": app} if self._dice.random() < 0.3 else {}
        given = pod(
            name,
            labels=made.labels,
            node=self._dice.choice(NODES),
            ports=self._dice.choice(CONTAINER_PORTS),
            **spec,
        )
        self._namespace.run(given, *ips, ready=made.ready)
        self._pods[name] = made

    def _remove(self, chosen: Running) -> None:
        self._namespace.delete("Pod", chosen.name).must()
        del self._pods[chosen.name]
        if not chosen.ended:
            self._addresses.give_back(chosen.ips)

    def _report(self, chosen: Running, **state: Any) -> None:
        self._namespace.set_status(chosen.name, chosen.ips, ready=chosen.ready, **state)

    def _some(self, which: Callable[[Running], bool]) -> Running | None:
        candidates = [each for each in self._pods.values() if which(each)]
        return self._dice.choice(candidates) if candidates else None
