"""Cores, memory, the machine, the plan: what surrounds a measurement."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench import machine, memory
from tests.bench.auditing import placed
from tests.bench.cores import Cores, on_cores
from tests.bench.plan import Plan
from tests.bench.scene import endpoints


@pytest.mark.parametrize(
    ("allowed", "server", "rest"),
    [([0, 1], (0,), (1,)), ([7, 3, 5], (3,), (7,))],
)
def test_server_and_load_have_a_core_each(
    allowed: list[int], server: tuple[int, ...], rest: tuple[int, ...]
) -> None:
    assert Cores.choose(allowed) == Cores(server=server, rest=rest)


def test_one_core_is_not_enough() -> None:
    with pytest.raises(ValueError, match="two cores are needed"):
        Cores.choose([0])


def test_processes_start_on_their_core_and_we_stay_where_we_were() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with on_cores((core,)):
        told = subprocess.check_output(
            (sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"), text=True
        )
    assert told.strip() == str({core})
    assert os.sched_getaffinity(0) == before


_PARENT = """
import subprocess, sys
block = bytearray(b"x" * 2**20 * 40)
child = "import sys; b = bytearray(b'x' * 2**20 * 20); print(flush=True); sys.stdin.read()"
process = subprocess.Popen([sys.executable, "-c", child], stdin=0, stdout=subprocess.PIPE)
process.stdout.readline()
print(flush=True)
process.wait()
"""


@contextmanager
def family() -> Iterator[int]:
    """A process with 40 MiB, once 80, that has a child with 20, once 40."""
    process = subprocess.Popen(
        (sys.executable, "-c", _PARENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_memory_is_that_of_the_whole_family() -> None:
    with family() as pid:
        assert len(list(memory.family(pid))) == 2
        assert 60 < memory.resident_mib(pid) < 120
        assert 80 < memory.peak_mib(pid) < 120  # The literal, and the copy of it.


def test_the_processor_is_named() -> None:
    text = "processor\t: 0\nmodel name\t: Example 3000 \nmodel name\t: Other\n"
    assert machine.processor(text) == "Example 3000"
    assert machine.processor("") != ""


def test_the_machine_is_described_without_its_name() -> None:
    described = machine.describe()
    assert os.uname().nodename not in str(described)
    assert described.kubernetes.startswith("v1.")
    assert described.gatekeeper.startswith("v3.")
    assert described.vegeta.startswith("v12.")


@pytest.mark.parametrize(("rate", "seconds"), [(1000.0, 1.5), (10.0, 3.0), (6.0, 5.0), (0.5, 6.0)])
def test_a_slow_rate_is_kept_up_longer(rate: float, seconds: float) -> None:
    assert Plan.of(quick=False).latency_seconds(rate) == seconds


def test_a_quick_plan_is_a_smaller_one() -> None:
    quick, full = Plan.of(quick=True), Plan.of(quick=False)
    assert set(quick.sizes) < set(full.sizes)
    assert quick.rounds < full.rounds
    assert quick.seconds < full.seconds
    assert max(quick.cluster_pods) < max(full.cluster_pods)


def test_an_object_can_be_put_elsewhere() -> None:
    here = endpoints("web", [])
    assert placed(here, "there")["metadata"] == {"name": "web", "namespace": "there"}
    assert here["metadata"]["namespace"] == "shop"
