"""An interrupted run goes on where it stopped, if it is of the same code."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.bench.results import PARTS, Results, ResultsFile
from tests.bench.samples import RUN, results, serving


@pytest.fixture
def file(tmp_path: Path) -> ResultsFile:
    return ResultsFile(tmp_path / "folder" / "results.json")


def test_results_survive_the_file(file: ResultsFile) -> None:
    file.write(results())
    assert file.read() == results()


def test_there_is_nothing_at_first(file: ResultsFile) -> None:
    assert file.read() is None
    assert file.resume(RUN, load=0.5) == Results(run=RUN, load=0.5)
    assert tuple(Results(run=RUN).missing) == PARTS


def test_an_interrupted_run_goes_on(file: ResultsFile) -> None:
    interrupted = Results(run=RUN, load=0.2, serving=serving())
    file.write(interrupted)
    assert file.resume(RUN, load=0.1) == interrupted
    assert file.resume(RUN, load=0.5) == replace(interrupted, load=0.5)
    assert tuple(interrupted.missing) == tuple(part for part in PARTS if part != "serving")


@pytest.mark.parametrize(
    "other",
    [
        replace(RUN, commit="def5678"),
        replace(RUN, quick=True),
        replace(RUN, machine=replace(RUN.machine, cores=8)),
    ],
)
def test_results_of_other_code_or_machines_are_not_mixed_in(
    file: ResultsFile, other: object
) -> None:
    file.write(Results(run=RUN, serving=serving()))
    assert isinstance(other, type(RUN))
    assert file.resume(other, load=0.5) == Results(run=other, load=0.5)


def test_changed_code_may_be_any_code(file: ResultsFile) -> None:
    changed = replace(RUN, commit="abc1234+")
    file.write(Results(run=changed, serving=serving()))
    assert file.resume(changed, load=0.5) == Results(run=changed, load=0.5)


def test_after_a_complete_run_everything_is_measured_anew(file: ResultsFile) -> None:
    file.write(results())
    assert file.resume(RUN, load=0.5) == Results(run=RUN, load=0.5)


@pytest.mark.parametrize("text", ["", "{", '{"run": 1}', '{"serving": null}'])
def test_a_file_of_another_version_is_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    assert ResultsFile(path).read() is None


def test_after_a_complete_run_some_parts_can_be_measured_anew(file: ResultsFile) -> None:
    file.write(results())
    assert file.resume(RUN, load=0.5, anew=["writing"]) == replace(
        results(), load=0.5, writing=None
    )
    other = replace(RUN, commit="def5678")
    assert file.resume(other, load=0.5, anew=["writing"]) == Results(run=other, load=0.5)
