"""`python -m tests.fuzz.laws SECONDS`: try the laws again and again, with ever other examples.

A law that fails is shown by Hypothesis with the smallest counterexample, and found again first by
`make test` from its database in .hypothesis.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

from hypothesis import is_hypothesis_test

_MODULES = (
    "tests.fuzz.test_bytes_in_bytes_out",
    "tests.core.test_properties",
    "tests.core.test_audit",
    "tests.core.test_touched",
    "tests.core.test_baseline",
    "tests.core.test_control_plane",
    "tests.gateway.test_request_buffer",
)
"""Those whose laws are about everything: any bytes, and that the fronts agree."""

Law = Callable[[], None]


def main(seconds: float) -> int:
    """Return how many rounds of examples there were; raises what a law raises."""
    logging.getLogger().addHandler(logging.NullHandler())  # Else what is denied is told.
    modules = [import_module(name) for name in _MODULES]
    until, rounds = time.monotonic() + seconds, 0
    try:
        while True:
            for law in _laws(modules):
                if time.monotonic() >= until:
                    return rounds
                law()
                rounds += 1
    finally:
        for module in modules:
            getattr(module, "teardown_module", _nothing)()


def _laws(modules: list[ModuleType]) -> Iterator[Law]:
    for module in modules:
        for name, function in sorted(vars(module).items()):
            if name.startswith("test_") and is_hypothesis_test(function):
                yield function


def _nothing() -> None:
    pass


if __name__ == "__main__":
    print(f"{main(float(sys.argv[1]))} rounds")
