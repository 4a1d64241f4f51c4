"""What of the chart is generated: the table in its README, and the policy's part of the schema.

The first is made of the comments in values.yaml, the second of the code. `python -m
tests.chart.documentation` writes both anew; tests say when that is due.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.chart.helm import CHART

README = CHART / "README.md"
VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
_BEGIN, _END = "<!-- values: begin -->\n", "<!-- values: end -->\n"
_KEY = re.compile(r"( *)([A-Za-z]+):(?: (.*))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One key that can be set, what it is by default, and what stands above it."""

    path: str
    default: str
    meaning: str


def documented_values() -> list[Value]:
    """Every key with a comment of its own, in the order of the file."""
    return list(_values(VALUES.read_text(encoding="utf-8").splitlines()))


def _values(lines: list[str]) -> Iterator[Value]:
    defaults = yaml.safe_load("\n".join(lines))
    parents: list[str] = []
    comment: list[str] = []
    for line in lines:
        if line.lstrip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
        elif (found := _KEY.fullmatch(line)) is not None:
            parents = [*parents[: len(found[1]) // 2], found[2]]
            if comment:
                default = _at(defaults, parents)
                yield Value(
                    path=".".join(parents), default=_short(default), meaning=" ".join(comment)
                )
            comment = []
        elif not line.strip():
            comment = []


def _at(values: object, path: list[str]) -> object:
    for key in path:
        assert isinstance(values, dict)
        values = values[key]
    return values


def _short(default: object) -> str:
    text = yaml.safe_dump(default, default_flow_style=True, width=1000).strip()
    text = text.removesuffix("...").strip()
    return f"`{text}`" if len(text) <= 60 else "see values.yaml"


def table() -> str:
    """The table, in Markdown."""
    rows = (
        f"| `{v.path}` | {v.default} | {v.meaning.replace('|', '&#124;').replace('<', '&lt;')} |"
        for v in documented_values()
    )
    return "\n".join(("| key | default | meaning |", "| --- | --- | --- |", *rows, ""))


def with_table(readme: str) -> str:
    """The README, with the current table."""
    head, _, rest = readme.partition(_BEGIN)
    return f"{head}{_BEGIN}{table()}{_END}{rest.partition(_END)[2]}"


def policy_definitions() -> dict[str, Any]:
    """`$defs` of the policy's schema, as they stand in that of the values."""
    command = (sys.executable, "-m", "webhook", "policy", "schema")
    found = json.loads(subprocess.check_output(command, cwd=CHART.parents[1]))["$defs"]
    # Helm's YAML reads a bare `off` as false, and so does the server.
    found["Action"]["enum"].append(False)
    for definition in found.values():
        for of_a_map in definition.get("properties", {}).values():
            # helm 4 names the wrong place for what breaks propertyNames.
            if names := of_a_map.pop("propertyNames", {}).get("enum"):
                each = of_a_map["additionalProperties"]
                of_a_map |= {"properties": dict.fromkeys(names, each)}
                of_a_map["additionalProperties"] = False
    return dict(found)


def with_definitions(schema: str) -> str:
    """The schema of the values, with the current definitions."""
    given = json.loads(schema) | {"$defs": policy_definitions()}
    return json.dumps(given, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(with_definitions(SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
