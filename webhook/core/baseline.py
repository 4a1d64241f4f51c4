"""Findings that are known already: a report hides them, and says which of them are gone."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct, json, structs

from webhook.core.audit import with_findings
from webhook.core.fingerprint import Identity, identity
from webhook.core.objects import InvalidObject, convert
from webhook.core.report import Judged, Report

VERSION: Final = 1
_UNSAFE: Final = re.compile(r"[^ -~]")


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    findings: tuple[Identity, ...]


def found_in(report: Report) -> frozenset[Identity]:
    """Every finding of a report."""
    return frozenset(
        identity(judged, finding) for judged in report.objects for finding in judged.findings
    )


def hide(report: Report, known: Collection[Identity]) -> Report:
    """The report without what is known; `hidden` says how much that is."""
    objects = tuple(_without(judged, known) for judged in report.objects)
    before, after = (sum(len(j.findings) for j in each) for each in (report.objects, objects))
    return structs.replace(report, objects=objects, hidden=report.hidden + before - after)


def parse_baseline(data: Any) -> frozenset[Identity]:
    """Plain data, as YAML gives it, to known findings. Raises `InvalidObject`, naming the key."""
    if not isinstance(data, dict):
        raise InvalidObject("", "a baseline is a map with `version` and `findings`")
    file = convert(data, _File)
    if file.version != VERSION:
        raise InvalidObject("version", f"only {VERSION} is known: write the baseline anew")
    return frozenset(file.findings)


def baseline_lines(findings: Iterable[Identity]) -> Iterator[str]:
    """The lines of the file: YAML, one finding each, sorted, so that a diff reads well."""
    yield "# Findings that are known: written by `endpoints-guard audit --write-baseline FILE`.\n"
    yield f"version: {VERSION}\n"
    ordered = sorted(findings)
    yield "findings:\n" if ordered else "findings: []\n"
    for each in ordered:
        yield f"- {_as_flow(each)}\n"


def _without(judged: Judged, known: Collection[Identity]) -> Judged:
    left = tuple(f for f in judged.findings if identity(judged, f) not in known)
    if len(left) == len(judged.findings):
        return judged
    return with_findings(judged, left)


def _as_flow(each: Identity) -> str:
    fields = structs.asdict(each)
    ordered = {"rule": fields.pop("rule"), **fields}
    pairs = (f"{name}: {json.encode(value).decode()}" for name, value in ordered.items())
    # YAML takes less than JSON does: not every control character, and no surrogates.
    return _UNSAFE.sub(lambda found: f"\\U{ord(found[0]):08x}", f"{{{', '.join(pairs)}}}")
