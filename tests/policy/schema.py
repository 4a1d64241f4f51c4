"""As much of JSON Schema as a policy's schema uses; anything else in a schema is an error."""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_NOTES = frozenset({"$schema", "$defs", "title", "description", "default"})
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def problems(value: object, schema: Json) -> list[str]:
    """What is wrong with a value, as `path: keyword`; empty when the schema accepts it."""
    return list(_problems(value, schema, schema, "$"))


def _problems(value: object, schema: Json, root: Json, path: str) -> Iterator[str]:
    for keyword, wanted in schema.items():
        if keyword in _NOTES:
            continue
        if keyword == "$ref":
            yield from _problems(value, _referenced(wanted, root), root, path)
        elif keyword == "anyOf":
            if all(any(_problems(value, option, root, path)) for option in wanted):
                yield f"{path}: anyOf"
        elif keyword in ("properties", "additionalProperties", "propertyNames", "items"):
            yield from _inner(keyword, value, schema, root, path)
        elif not _accepts(keyword, wanted, value):
            yield f"{path}: {keyword}"


def _inner(keyword: str, value: object, schema: Json, root: Json, path: str) -> Iterator[str]:
    wanted = schema[keyword]
    if keyword == "items" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, wanted, root, f"{path}[{index}]")
    if not isinstance(value, dict) or keyword == "items":
        return
    for key, entry in value.items():
        known = key in schema.get("properties", {})
        if keyword == "properties" and known:
            yield from _problems(entry, wanted[key], root, f"{path}.{key}")
        elif keyword == "additionalProperties" and not known:
            if wanted is False:
                yield f"{path}.{key}: additionalProperties"
            else:
                yield from _problems(entry, wanted, root, f"{path}.{key}")
        elif keyword == "propertyNames":
            yield from _problems(key, wanted, root, f"{path}.{key}")


def _accepts(keyword: str, wanted: Any, value: Any) -> bool:
    match keyword:
        case "type":
            right = isinstance(value, _TYPES[wanted])
            return right and not (wanted == "integer" and isinstance(value, bool))
        case "enum":
            return value in wanted
        case "required":
            return not isinstance(value, dict) or all(key in value for key in wanted)
        case "minimum":
            return not isinstance(value, int) or value >= wanted
        case "maximum":
            return not isinstance(value, int) or value <= wanted
        case "minLength":
            return not isinstance(value, str) or len(value) >= wanted
    raise AssertionError(f"this schema has a keyword {keyword}")


def _referenced(name: str, root: Json) -> Json:
    found: Json = root["$defs"][name.removeprefix("#/$defs/")]
    return found
