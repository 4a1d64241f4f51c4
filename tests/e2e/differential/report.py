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
        yield f"{'':50}{'':>8}{'default':>10}{'nobody':>10}{'judged':>10}{'':>10}"
        yield f"{'':50}{'':>8}{'trust:':>10}{'trusted:':>10}{'again,':>10}{'then':>10}"
        heads = ("refused", "refused", "later", "refused")
        yield f"{'writer':34}{'kind':16}{'writes':>8}{''.join(f'{head:>10}' for head in heads)}"
        for (writer, kind), line in sorted(self._lines.items()):
            counts = (line.enforced, line.refused, line.late, line.late_refused)
            numbers = "".join(f"{count:10}" for count in counts)
            yield f"{writer.removeprefix(CONTROLLERS):34}{kind:16}{line.writes:8}{numbers}"
        rows = sum((line.rows for line in self._lines.values()), Counter[Row]())
        yield "every refusal of a controller is explained; what had changed since it looked:"
        for row in Row:
            if rows[row]:
                yield f"  {row:4}{MEANING[row]:66}{rows[row]:8}"
