"""The table of a differential run: who wrote how much, what was refused, and why."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.e2e.cluster import CONTROLLERS
from tests.e2e.differential.judgement import Judgement
from tests.e2e.differential.rows import MEANING, Row


@dataclass(slots=True, kw_only=True)
class Line:
    """One writer of one kind."""

    writes: int = 0
    enforced: int = 0
    """Refused by the webhook that trusts the control plane."""
    refused: int = 0
    """Refused by the one that trusts nobody."""
    late: int = 0
    """Judged once more, later."""
    late_refused: int = 0
    rows: Counter[Row] = field(default_factory=Counter)


class Report:
    """Counts judgements, and prints them."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], Line] = defaultdict(Line)

    def count(self, judgement: Judgement, rows: Iterable[Row]) -> None:
        """A judgement, with what explains it if it is a refusal."""
        line = self._lines[judgement.writer, judgement.kind]
        if judgement.late:
            line.late += 1
            line.late_refused += not judgement.allowed
        else:
            line.writes += 1
            line.refused += not judgement.allowed
        line.rows.update(rows)

    def count_enforced(self, writer: str, kind: str) -> None:
        """A refusal that the writer really got."""
        self._lines[writer, kind].enforced += 1

    def total(self, writer: str) -> Line:
        """Everything of one writer."""
        mine = [line for (name, _), line in self._lines.items() if name == writer]
        return Line(
            writes=sum(line.writes for line in mine),
            enforced=sum(line.enforced for line in mine),
            refused=sum(line.refused for line in mine),
            late=sum(line.late for line in mine),
            late_refused=sum(line.late_refused for line in mine),
        )

    def text(self) -> Iterator[str]:
        """The table; a refusal may have several reasons."""
        heads = ("writes", "refused", "refused", "late", "refused")
        yield f"{'':50}{'trusted':>16}{'nobody trusted':>24}"
        yield f"{'writer':34}{'kind':16}{''.join(f'{head:>8}' for head in heads)}"
        for (writer, kind), line in sorted(self._lines.items()):
            counts = (line.writes, line.enforced, line.refused, line.late, line.late_refused)
            numbers = "".join(f"{count:8}" for count in counts)
            yield f"{writer.removeprefix(CONTROLLERS):34}{kind:16}{numbers}"
        rows = sum((line.rows for line in self._lines.values()), Counter[Row]())
        yield "each of the refusals is a race; what had changed since the controller looked:"
        for row in Row:
            if rows[row]:
                yield f"  {row:4}{MEANING[row]:66}{rows[row]:8}"
