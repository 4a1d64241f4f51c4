"""The same state without a wire, for laws that are tried hundreds of times."""

import json
from collections.abc import Callable
from typing import Any

from tests.fake_apiserver.http import parse_path
from tests.fake_apiserver.state import KINDS, Object, State


class Wireless:
    """Stands in for a `ClusterApi` that reads."""

    def __init__(self, *cluster: Object) -> None:
        self.state = State()
        paths = {kind: path for path, kind in KINDS.items()}
        for manifest in cluster:
            self.state.put(paths[manifest["kind"]], manifest)

    def get(self, path: str, *, deadline: float) -> bytes | None:
        code, found = self.state.get(*parse_path(path))
        return json.dumps(found).encode() if code == 200 else None

    def list_all(
        self,
        path: str,
        read: Callable[[bytes], Any],
        *,
        label_selector: str = "",
        field_selector: str = "",
        deadline: float,
    ) -> tuple[Any, ...]:
        collection, namespace, _ = parse_path(path)
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        _, page = self.state.page(collection, namespace, query)
        assert isinstance(page, dict)
        return tuple(read(json.dumps(each).encode()) for each in page["items"])
