"""What is measured, as values that survive an interruption in a file of JSON."""

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace


class Machine(Struct, frozen=True, kw_only=True):
    """What it was measured on; nothing that says whose it is."""

    processor: str
    cores: int
    memory_gib: int
    kernel: str
    python: str
    kubernetes: str
    gatekeeper: str
    vegeta: str


class Run(Struct, frozen=True, kw_only=True):
    """What makes measurements part of one run."""

    commit: str
    """Of the code measured; with "+" when it had changes."""
    quick: bool
    machine: Machine

    @property
    def changed(self) -> bool:
        """Whether the code was not that of the commit."""
        return self.commit.endswith("+")


class Leg(Struct, frozen=True, kw_only=True):
    """One server under one load for some seconds."""

    write: str
    """What was written, by name: "Endpoints 20 denied"."""
    kind: str
    addresses: int
    allowed: bool
    server: str
    round: int
    throughput: float
    """Answers a second, closed loop."""
    rate: float
    """Requests a second of the open loop that the following come from; 0: of the closed loop."""
    requests: int
    """How many it had."""
    p50: float
    """Milliseconds."""
    p90: float
    p99: float


class Verdicts(Struct, frozen=True, kw_only=True):
    """That all who judge agree."""

    writes: int
    allowed: int


class Serving(Struct, frozen=True, kw_only=True):
    """How fast reviews are answered."""

    pods: int
    pod_bytes: int
    workers: int
    seconds: float
    verdicts: Verdicts
    legs: tuple[Leg, ...]


class Writing(Struct, frozen=True, kw_only=True):
    """How long writes take through the API server. `server` says who was asked about them."""

    legs: tuple[Leg, ...]


class Sync(Struct, frozen=True, kw_only=True):
    """What a cluster costs that comes up with the webhook."""

    pods: int
    services: int
    nodes: int
    list_mib: float
    """The lists as they were sent, uncompressed."""
    seconds: float
    """From the start of the process until it is ready."""
    server_seconds: float
    """CPU that the API server's stand-in took of that."""
    resident_mib: float
    """Proportional set size of all its processes, once it is ready."""
    peak_mib: float
    """The most that any one of its processes ever had resident."""
    costs: tuple[float, ...]
    """Core time for a review, in that of a route that does nothing; of each round. Empty: there
    are no Pods to write about."""


class Footprint(Struct, frozen=True, kw_only=True):
    """What a server keeps resident with so many Pods in a real API server."""

    server: str
    pods: int
    resident_mib: float
    addresses: int
    """Of the write that was timed there."""
    throughput: float
    """Answers a second, closed loop; the median of the rounds."""


class Syncing(Struct, frozen=True, kw_only=True):
    """Sync time and memory."""

    syncs: tuple[Sync, ...]


class Footprints(Struct, frozen=True, kw_only=True):
    """Memory side by side."""

    footprints: tuple[Footprint, ...]


class Audit(Struct, frozen=True, kw_only=True):
    """One audit of the same state."""

    objects: int
    findings: int
    read_seconds: float
    """For the file: parse it and index what is in it."""
    judge_seconds: float


class Auditing(Struct, frozen=True, kw_only=True):
    """How fast what is stored is judged."""

    services: int
    pods: int
    addresses: int
    """In Endpoints and slices together."""
    file_mib: float
    audits: tuple[Audit, ...]


class Results(Struct, frozen=True, kw_only=True):
    """Everything so far; a part that is None is still to be measured."""

    run: Run
    load: float = 0.0
    """The machine's load average over a minute, when it began, or was resumed if that was more."""
    serving: Serving | None = None
    writing: Writing | None = None
    syncing: Syncing | None = None
    footprints: Footprints | None = None
    auditing: Auditing | None = None

    @property
    def missing(self) -> Sequence[str]:
        """The parts still to be measured, in their order."""
        return [name for name in PARTS if getattr(self, name) is None]


PARTS = tuple(name for name in Results.__struct_fields__ if name not in {"run", "load"})


class ResultsFile:
    """Where results are kept while a run is not complete, and after."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def resume(self, run: Run, *, load: float, anew: Collection[str] = ()) -> Results:
        """Return what is kept of this very run, less the parts to be measured anew.

        That is what an interrupted run has left; after a complete one everything begins again,
        unless some parts only are to be measured anew. Code with changes is never the same: nobody
        knows which ones they were.
        """
        kept = self.read()
        if kept is None or kept.run != run or run.changed or not (kept.missing or anew):
            return Results(run=run, load=load)
        return replace(kept, load=max(kept.load, load), **dict.fromkeys(anew))

    def read(self) -> Results | None:
        """Return what there is; None where there is nothing, or of another version."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Results)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, results: Results) -> None:
        """Replace what there is, at once."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
        new.replace(self._path)
