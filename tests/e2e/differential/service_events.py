"""What happens to the Services of a namespace: everything that endpoints depend on changes."""

import random
from collections.abc import Callable
from typing import Any

from tests.e2e.api import Json
from tests.e2e.cluster import NODES, Namespace, endpoints, eventually, service
from tests.e2e.differential.pod_events import APPS, TIERS

PORTS: tuple[list[Json], ...] = (
    [{"port": 80, "targetPort": 8080}],
    [{"name": "http", "port": 80, "targetPort": "http"}],
    [
        {"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"},
        {"name": "metrics", "port": 9090, "targetPort": "metrics"},
    ],
    [
        {"name": "web", "port": 8080, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"},
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
    ],
    [{"name": "dns", "port": 53, "targetPort": "dns", "protocol": "UDP"}],
)
MANUAL = ("legacy-db", "legacy-queue")
"""Services without selector."""


class ServiceEvents:
    """Each event is a method; it says whether there was a Service that it could happen to."""

    def __init__(self, namespace: Namespace, dice: random.Random) -> None:
        self._namespace = namespace
        self._dice = dice
        self._services: dict[str, Json] = {}

    def table(self) -> dict[Callable[[], bool], float]:
        """The events, with how often they happen."""
        return {
            self.change_ports: 5,
            self.change_selector: 4,
            self.switch_publishing: 3,
            self.change_type: 3,
            self.drop_or_restore_selector: 3,
            self.change_families: 3,
            self.recreate_service: 3,
            self.relabel_service: 2,
            self.edit_manual_endpoints: 5,
            self.switch_mirroring: 1,
            self.relabel_node: 0.5,
        }

    def begin(self) -> None:
        """A Service for each app, and those without selector."""
        for app in APPS:
            self._create(app)
        for name in MANUAL:
            self._namespace.create(service(name, ports=[{"name": "db", "port": 5432}]))
            self._namespace.create(self._external(name))

    def settle(self) -> None:
        """Make every Service of an app one that selects, so that the end can be compared.

        Each is changed: the endpoints controller does not notice when a Pod that is not ready
        fails or succeeds, and goes on listing it until something else happens.
        """
        for name, known in self._services.items():
            if known["type"] == "ExternalName":
                self._change(name, type="ClusterIP", externalName=None)
            if not known["selector"]:
                self._change(name, selector={"app": name})
            settled = {"metadata": {"labels": {"settled": "yes"}}}
            self._namespace.patch("Service", name, settled)

    def change_ports(self) -> bool:
        return self._edit(lambda _: {"ports": self._dice.choice(PORTS)})

    def change_selector(self) -> bool:
        return self._edit(lambda name: {"selector": self._selector(name)}, needs="selector")

    def switch_publishing(self) -> bool:
        publish = self._dice.random() < 0.5
        return self._edit(lambda _: {"publishNotReadyAddresses": publish})

    def change_families(self) -> bool:
        policy = self._dice.choice(("SingleStack", "PreferDualStack"))
        return self._edit(lambda _: {"ipFamilyPolicy": policy})

    def drop_or_restore_selector(self) -> bool:
        def other(name: str) -> Json:
            return {"selector": None if self._services[name]["selector"] else self._selector(name)}

        return self._edit(other)

    def change_type(self) -> bool:
        """To ExternalName, or back."""
        name = self._dice.choice(APPS)
        if self._services[name]["type"] == "ExternalName":
            self._change(name, type="ClusterIP", externalName=None)
        else:
            keys = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
            cleared = dict.fromkeys(keys)
            self._change(name, type="ExternalName", externalName="shop.example.com", **cleared)
        return True

    def recreate_service(self) -> bool:
        name = self._dice.choice(APPS)
        policy = self._dice.choice(("Background", "Orphan"))
        self._namespace.delete("Service", name, propagationPolicy=policy).must()
        # One that orphans its slices is there until the garbage collector has done so.
        api = self._namespace.api
        eventually(lambda: api.get("Service", self._namespace.name, name).status == 404)
        self._create(name)
        return True

    def relabel_service(self) -> bool:
        labels = {"release": str(self._dice.randrange(100))}
        self._namespace.patch("Service", self._dice.choice(APPS), {"metadata": {"labels": labels}})
        return True

    def edit_manual_endpoints(self) -> bool:
        made = self._external(self._dice.choice(MANUAL))
        self._namespace.api.replace(self._namespace.placed(made)).must()
        return True

    def switch_mirroring(self) -> bool:
        """Off and on again."""
        for value in ("true", None):
            labels = {"endpointslice.kubernetes.io/skip-mirror": value}
            self._namespace.patch("Endpoints", MANUAL[0], {"metadata": {"labels": labels}})
        return True

    def relabel_node(self) -> bool:
        labels = {"topology.kubernetes.io/zone": self._dice.choice("abc")}
        name = self._dice.choice(NODES)
        self._namespace.api.patch("Node", "", name, {"metadata": {"labels": labels}}).must()
        return True

    def _external(self, name: str) -> Json:
        numbers = self._dice.sample(range(1, 20), self._dice.randrange(1, 6))
        addresses = ({"ip": f"198.51.100.{number}"} for number in numbers)
        return endpoints(name, *addresses, ports=[{"name": "db", "port": 5432}])

    def _selector(self, app: str) -> Json:
        """A merge patch replaces nothing by itself: what is not wanted must be said."""
        tier = self._dice.choice((None, *TIERS))
        return {"app": self._dice.choice((app, self._dice.choice(APPS))), "tier": tier}

    def _create(self, name: str) -> None:
        headless: Json = {"clusterIP": "None"} if self._dice.random() < 0.4 else {}
        ports = self._dice.choice(PORTS)
        self._namespace.create(service(name, selector={"app": name}, ports=ports, **headless))
        self._services[name] = {"type": "ClusterIP", "selector": {"app": name}}

    def _edit(self, change: Callable[[str], Json], *, needs: str = "type") -> bool:
        """Change a Service that has what the change needs, and is no ExternalName."""
        chosen = [
            name
            for name, known in self._services.items()
            if known["type"] != "ExternalName" and known[needs]
        ]
        if chosen:
            name = self._dice.choice(chosen)
            self._change(name, **change(name))
        return bool(chosen)

    def _change(self, name: str, **spec: Any) -> None:
        self._namespace.patch("Service", name, {"spec": spec})
        known = self._services[name]
        known.update({key: value for key, value in spec.items() if key in known})
