"""What the measurements were taken on, without a name or a path of it."""

import os
import platform
import re
import subprocess
from pathlib import Path

from tests.bench import programs
from tests.bench.results import Machine, Run
from tests.e2e.controlplane.binaries import kubernetes_version

_ROOT = Path(__file__).parents[2]


def describe() -> Machine:
    """Return this machine, and the versions of what is measured beside the webhook."""
    return Machine(
        processor=processor(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        kubernetes=kubernetes_version(),
        gatekeeper=programs.PROGRAMS.version("gatekeeper"),
        vegeta=programs.PROGRAMS.version("vegeta"),
    )


def processor(cpuinfo: str) -> str:
    """Return the model of the first processor in the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def describe_run(*, quick: bool) -> Run:
    """Return what this run is a run of."""
    return Run(commit=_commit(), quick=quick, machine=describe())


def _commit() -> str:
    """Return the commit whose code is measured; "unknown" outside of a checkout."""
    changed = _git("status", "--porcelain", "--", "webhook", "certs", "tests/bench")
    commit = _git("log", "-1", "--format=%h", "--", "webhook", "certs", "tests/bench")
    return f"{commit}{'+' if changed else ''}" if commit else "unknown"


def _git(*words: str) -> str:
    command = ("git", "-C", str(_ROOT), *words)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
