"""`python -m tests.bench`: measure what is missing, and write docs/benchmarks.md."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from msgspec.structs import replace

from tests.bench import (
    auditing,
    document,
    footprints,
    plot,
    programs,
    scene,
    serving,
    syncing,
    writing,
)
from tests.bench.cores import Cores
from tests.bench.machine import describe_run
from tests.bench.plan import Plan
from tests.bench.results import PARTS, Results, ResultsFile
from tests.bench.serving import DisagreementError
from tests.bench.stage import Stage
from tests.bench.vegeta import LoadError
from tests.e2e.controlplane import BinariesError, ComponentError, KubectlError

_ROOT = Path(__file__).parents[2]
_EPILOG = """\
Results are kept in .bench/ while a run is under way: interrupted, it goes on where it stopped, as
long as the code is the same. Then docs/benchmarks.md is written, with its picture; a quick run
writes it beside its results instead.

  make bench                        everything, about a quarter of an hour
  make bench QUICK=1                a smoke test of two minutes
  make bench ONLY="serving writing" some parts only

Gatekeeper and vegeta come from $GATEKEEPER_BIN and $VEGETA_BIN, or are built once from their Go
modules into ${XDG_CACHE_HOME:-~/.cache}/endpoints-guard/bench.
"""


def main() -> int:
    """Return the exit code: 0, or 1 when something could not be measured."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(Plan.of(quick=arguments.quick), arguments.only)
    except (
        BinariesError,
        ComponentError,
        DisagreementError,
        KubectlError,
        LoadError,
        ValueError,
    ) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; the next run goes on from here", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__.partition(": ")[2],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="measure little: a smoke test")
    parser.add_argument(
        "only", nargs="*", choices=[[], *PARTS], metavar="PART", help=" ".join(PARTS)
    )
    return parser


def _run(plan: Plan, only: Sequence[str]) -> None:
    cores = Cores.choose(sorted(os.sched_getaffinity(0)))
    programs.gatekeeper()  # Builds take minutes: before anything is started.
    programs.vegeta()
    folder = _ROOT / ".bench" / ("quick" if plan.quick else "full")
    file = ResultsFile(folder / "results.json")
    run, load = describe_run(quick=plan.quick), os.getloadavg()[0]
    results = file.resume(run, load=load, anew=only)
    with _stages(cores, plan) as stage:
        for part in PARTS:
            if part in results.missing and part in (only or PARTS):
                results = replace(results, **{part: _measure(part, cores, plan, stage)})
                file.write(results)
    page = _ROOT / "docs" / "benchmarks.md" if not plan.quick else folder / "benchmarks.md"
    _write_page(page, results)
    plan.say(f"wrote {page.relative_to(_ROOT)}")


def _measure(part: str, cores: Cores, plan: Plan, stage: Callable[[], Stage]) -> object:
    with_stage = {
        "serving": serving.measure,
        "writing": writing.measure,
        "footprints": footprints.measure,
    }
    if part in with_stage:
        return with_stage[part](stage(), plan)
    without = {"syncing": syncing.measure, "auditing": auditing.measure}
    return without[part](cores, plan)


@contextmanager
def _stages(cores: Cores, plan: Plan) -> Iterator[Callable[[], Stage]]:
    """Give the stage to whoever asks for it, set when the first one does."""
    found: list[Stage] = []

    with ExitStack() as stack:

        def stage() -> Stage:
            if not found:
                plan.say("starting etcd and kube-apiserver")
                made = stack.enter_context(Stage.set(cores))
                batches = scene.namespaces(), scene.nodes(), scene.services(), [*scene.pods()]
                made.populate(*batches)
                found.append(made)
            return found[0]

        yield stage


def _write_page(page: Path, results: Results) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(document.as_markdown(results), encoding="utf-8")
    if results.serving:
        image = page.parent / document.PLOT
        image.parent.mkdir(exist_ok=True)
        image.write_text(plot.as_svg(results.serving), encoding="utf-8")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
