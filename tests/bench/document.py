"""docs/benchmarks.md, from what was measured."""

from collections.abc import Iterable, Iterator, Sequence

from tests.bench.results import (
    Auditing,
    Footprints,
    Leg,
    Results,
    Serving,
    Syncing,
    Writing,
)
from tests.bench.rounds import Measure, Spread, ratio, select
from tests.bench.serving import GATEKEEPER, GATEWAY_FLOOR, GTHREAD_FLOOR, WEBHOOK
from tests.bench.targets import cost, number, p50, targets, throughput, times
from tests.bench.writing import ASKED, NOBODY

PLOT = "images/benchmarks.svg"


def as_markdown(results: Results) -> str:
    """Return the page, with a section for each part that was measured."""
    parts = [_head(results), _targets(results)]
    if results.serving:
        parts += [_serving(results.serving), _floors(results.serving)]
    if results.writing:
        parts.append(_writing(results.writing))
    if results.syncing:
        parts.append(_syncing(results.syncing))
    if results.footprints:
        parts.append(_footprints(results.footprints))
    if results.auditing:
        parts.append(_auditing(results.auditing))
    return "\n\n".join([*parts, _METHOD]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Render a table, whose last `numbers` columns are aligned to the right."""
    left = len(head) - numbers
    lines = [head, [*["---"] * left, *["---:"] * numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(results: Results) -> str:
    run, machine = results.run, results.run.machine
    quick = (
        "\n\n**From a quick run, which only shows that everything works: do not trust a number.**"
        if run.quick
        else ""
    )
    return (
        "<!-- Written by `make bench`; do not edit. -->\n"
        f"# Benchmarks\n\n"
        f"Measured by `make bench` at commit {run.commit}: {machine.processor}, {machine.cores} "
        f"cores, {machine.memory_gib} GiB, {machine.kernel}, Python {machine.python}, Kubernetes "
        f"{machine.kubernetes}, Gatekeeper {machine.gatekeeper}, vegeta {machine.vegeta}. The "
        "server that is measured has one core, everything else the other. The load average was "
        f"{results.load:.1f} when it began: other work makes every number worse.\n\n"
        "Trust the ratios, not the numbers: counterparts ran within seconds of each other. A "
        "result is the median of the rounds; their range stands in brackets." + quick
    )


def _targets(results: Results) -> str:
    rows = [
        (each.wanted, each.measured, "yes" if each.reached else "**no**", each.remark)
        for each in targets(results)
    ]
    return "## Targets\n\n" + table(("target", "measured", "reached", "remark"), rows)


def _serving(serving: Serving) -> str:
    head = (
        *("write", "answers/s", "Gatekeeper", "ratio"),
        *("p50 ms", "Gatekeeper", "ratio", "p99 ms", "Gatekeeper"),
    )
    agreed = serving.verdicts
    return (
        "## Reviews\n\n"
        f"The webhook and Gatekeeper with an equivalent policy, in a cluster of {serving.pods:,} "
        f"Pods of {serving.pod_bytes / 1000:.1f} kB. Throughput: {serving.workers} connections, "
        "each with its next request as soon as the last is answered. Latency: an open loop at one "
        "rate for both, that the slower one can bear. Before that, both gave the same verdict on "
        f"{agreed.writes} writes ({agreed.allowed} allowed, {agreed.writes - agreed.allowed} "
        "denied).\n\n"
        + table(head, _serving_rows(serving.legs), numbers=8)
        + f"\n\n![Core time for an answer, by addresses]({PLOT})\n\n"
        "What is allowed, the webhook decides from memory, as Gatekeeper does with everything. "
        "Each denial it confirms: it reads what one finding rests on from the API server again, "
        "here the Service and a Pod ([why](adr/0006-confirm-before-deny.md))."
    )


def _serving_rows(legs: Sequence[Leg]) -> Iterator[Sequence[str]]:
    for write in dict.fromkeys(leg.write for leg in legs):
        mine, theirs = (select(legs, write, server) for server in (WEBHOOK, GATEKEEPER))
        yield (
            write,
            *(_middle(throughput, each) for each in (mine, theirs)),
            times(ratio(legs, write, (WEBHOOK, GATEKEEPER), throughput)),
            *(_middle(p50, each) for each in (mine, theirs)),
            times(ratio(legs, write, (GATEKEEPER, WEBHOOK), p50)),
            *(_middle(lambda leg: leg.p99, each) for each in (mine, theirs)),
        )


def _middle(measure: Measure, legs: Iterable[Leg]) -> str:
    return number(Spread.of(map(measure, legs)).middle)


def _floors(serving: Serving) -> str:
    rows = []
    for write in dict.fromkeys(leg.write for leg in serving.legs if leg.allowed):
        row = [write, _middle(throughput, select(serving.legs, write, WEBHOOK))]
        for floor in (GATEWAY_FLOOR, GTHREAD_FLOOR):
            row.append(_middle(throughput, select(serving.legs, write, floor)))
            row.append(times(ratio(serving.legs, write, (WEBHOOK, floor), cost)))
        rows.append(row)
    head = ("write", "answers/s", "own gateway", "cost", "gthread", "cost")
    return (
        "## Beside a route that does nothing\n\n"
        "A Flask route that reads the body and answers yes, in the same gunicorn, under the "
        "webhook's own gateway and under gunicorn's own gthread worker. The cost is how much more "
        "core time an answer of the webhook takes.\n\n" + table(head, rows, numbers=5)
    )


def _writing(writing: Writing) -> str:
    rows = []
    for write in dict.fromkeys(leg.write for leg in writing.legs):
        row = [write]
        for asked in ASKED:
            row.append(_middle(p50, select(writing.legs, write, asked)))
            row.append(_middle(lambda leg: leg.p99, select(writing.legs, write, asked)))
        row += [times(ratio(writing.legs, write, (asked, NOBODY), p50)) for asked in ASKED[1:]]
        rows.append(row)
    head = [
        "write",
        *(f"{asked} {what}" for asked in ASKED for what in ("p50 ms", "p99 ms")),
        *(f"{asked} / {NOBODY}" for asked in ASKED[1:]),
    ]
    return (
        "## Whole writes\n\n"
        "How long a writer waits for the API server, which stores each write in etcd (without "
        "fsync). Every write replaces all endpoints of the slice by others. One connection, one "
        "request at a time; API server, etcd and writer share a core.\n\n"
        + table(head, rows, numbers=len(head) - 1)
    )


def _syncing(syncing: Syncing) -> str:
    head = (
        "Pods",
        "Services",
        "Nodes",
        "lists MiB",
        "ready after s",
        "resident MiB",
        "peak MiB",
        "cost",
    )
    rows = [
        (
            *(f"{count:,}" for count in (each.pods, each.services, each.nodes)),
            f"{each.list_mib:.1f}",
            f"{each.seconds:.1f}",
            f"{each.resident_mib:.0f}",
            f"{each.peak_mib:.0f}",
            times(Spread.of(each.costs)) if each.costs else "",
        )
        for each in syncing.syncs
    ]
    slowest = max(each.server_seconds / each.seconds for each in syncing.syncs)
    return (
        "## Starting in a large cluster\n\n"
        "From the start of the process until it is ready. Resident: all its processes, shared "
        "pages counted once. The API server is a stand-in that sends lists it has ready, "
        f"compressed as a real one would; it took at most {slowest:.0%} of the time. "
        "Cost: the core time for a review of two addresses there, in that of a route that does "
        "nothing under the same gateway, measured beside it.\n\n"
        + table(head, rows, numbers=len(head))
    )


def _footprints(footprints: Footprints) -> str:
    rows = [
        (each.server, f"{each.pods:,}", f"{each.resident_mib:.0f}", number(each.throughput))
        for each in footprints.footprints
    ]
    addresses = footprints.footprints[0].addresses
    head = ("server", "Pods", "resident MiB", f"answers/s, {addresses} addresses")
    return (
        "## Beside Gatekeeper in a larger cluster\n\n"
        "Both in front of the same real API server; Gatekeeper keeps Services, Pods and Nodes in "
        "memory for its policy.\n\n" + table(head, rows, numbers=3)
    )


def _auditing(auditing: Auditing) -> str:
    audits = auditing.audits
    read, judged = (
        Spread.of(getattr(each, name) for each in audits).middle
        for name in ("read_seconds", "judge_seconds")
    )
    return (
        "## Audit\n\n"
        f"A state of {auditing.services:,} Services and {auditing.pods:,} Pods with their "
        f"Endpoints and slices, {auditing.addresses:,} addresses in {audits[0].objects:,} objects "
        f"({auditing.file_mib:.0f} MiB of JSON): read in {read:.1f} s, judged by every rule in "
        f"{judged:.2f} s, {number(auditing.addresses / judged)} addresses a second, "
        f"{audits[0].findings} findings."
    )


_METHOD = """\
## Method

* **Servers.** `endpoints-guard serve` as a cluster runs it; Gatekeeper with the webhook's operation
  only, no audit, no mutation, no external data, logging errors only. Both terminate TLS themselves,
  with certificates of the same kind, and take HTTP/1.1 on connections that stay open, as API
  servers do.
* **Policy.** [tests/bench/policy](../tests/bench/policy): a ConstraintTemplate in Rego over
  `data.inventory`, with Services, Pods and Nodes kept by a SyncSet. It looks a Pod up by the name
  in targetRef, never searches, and reads only the fields that count; of several ways to write it,
  this was the fastest. It says less than the webhook does: nothing of host names, ambiguous
  spellings, wrapped addresses, Pod ranges, API servers; it trusts no writer, spares nothing that an
  update leaves as it was, and confirms nothing.
* **Why Rego.** Gatekeeper's CEL engine, like ValidatingAdmissionPolicy, sees the object, its
  namespace and parameters, but no other objects: it cannot compare endpoints with Pods.
* **Load.** [vegeta](https://github.com/tsenart/vegeta), sixteen different requests of each write in
  turn. A leg in which a single request fails is no result, and ends the run.
* **Alone.** All servers share one core; those that are not measured are stopped meanwhile, since
  collecting garbage and following a cluster is work even when nobody asks.
* **Order.** Round by round: each write, and in it one server after the other, forwards in one round
  and backwards in the next.
* **Again.** `make bench` builds and starts everything by itself; `make bench QUICK=1` is a smoke
  test of two minutes. A run that was interrupted goes on where it stopped."""
