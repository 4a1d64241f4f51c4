"""`python -m tests.fuzz`: try the laws and every target, as many at once as there are cores."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / ".fuzz"
_LAWS = "laws"
_LAWS_SHARE = 3.0
"""How much longer than a target, of which there are eight, the laws are tried."""
_GUIDED = (
    "connection",
    "review",
    "object",
    "watch-event",
    "policy",
    "baseline",
    "manifests",
    "address",
)
_SEED_SECONDS = 120
"""A target runs all its seeds, however little time it has."""
_RUNS = re.compile(r"^Done (\d+) runs|^(\d+ rounds)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)")
_EPILOG = """\
Inputs that reached something new are kept in .fuzz/corpus for the next run, and what broke a
promise in .fuzz. To see a crash again:

  python -m tests.fuzz.guided TARGET .fuzz/TARGET-crash-...

What is found becomes a test beside those of the part that failed.
"""


class Outcome(NamedTuple):
    """What became of one of them."""

    name: str
    found: bool
    log: str

    @property
    def row(self) -> str:
        runs, covered = _RUNS.search(self.log), _COVERED.findall(self.log)
        count = next(filter(None, runs.groups()), "?") if runs else "?"
        reached = f"{covered[-1][0]} branches, {covered[-1][1]} inputs kept" if covered else ""
        return (
            f"{'FOUND' if self.found else 'ok':<6} {self.name:<12} {count:>10}  {reached}".rstrip()
        )


def main() -> int:
    """Return the exit code: 1 when something was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__.partition(": ")[2],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120, help="for all together (%(default)s)")
    parser.add_argument("only", nargs="*", metavar="NAME", help=" ".join((_LAWS, *_GUIDED)))
    arguments = parser.parse_args()
    unknown = set(arguments.only) - {_LAWS, *_GUIDED}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    names = [name for name in (_LAWS, *_GUIDED) if not arguments.only or name in arguments.only]
    return _run(names, arguments.seconds)


def _run(names: Sequence[str], seconds: float) -> int:
    if find_spec("atheris") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        print(
            f"fuzz: there is no Atheris for Python {version} on {sys.platform}: only the laws are "
            "tried. The guided fuzzer needs Python 3.11 to 3.13 on Linux.",
            file=sys.stderr,
        )
        names = [name for name in names if name == _LAWS]
    cores = os.cpu_count() or 1
    shares = {name: _LAWS_SHARE if name == _LAWS else 1.0 for name in names}
    each = max(1.0, seconds * min(cores, len(names)) / sum(shares.values())) if names else 0.0
    _FOLDER.mkdir(exist_ok=True)
    with ThreadPoolExecutor(cores) as pool:
        outcomes = list(pool.map(lambda name: _tried(name, each * shares[name]), names))
    for outcome in outcomes:
        print(outcome.log if outcome.found else "", end="")
    print("\n".join(outcome.row for outcome in outcomes))
    return any(outcome.found for outcome in outcomes)


def _tried(name: str, seconds: float) -> Outcome:
    """Run it in a process of its own."""
    command = [sys.executable, "-m", "tests.fuzz.laws", str(seconds)]
    if name != _LAWS:
        command = [
            *(sys.executable, "-m", "tests.fuzz.guided", name, str(_FOLDER / "corpus" / name)),
            *(f"-max_total_time={seconds:.0f}", f"-artifact_prefix={_FOLDER / name}-"),
            "-rss_limit_mb=2048",
        ]
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            stdout=log,
            stderr=log,
            check=False,
            timeout=seconds * 3 + _SEED_SECONDS,
        )
        log.seek(0)
        return Outcome(name, done.returncode != 0, log.read().decode("utf-8", "replace"))


if __name__ == "__main__":
    sys.exit(main())
