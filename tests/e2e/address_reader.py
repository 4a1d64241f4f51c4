"""The API server's own reading of IP addresses, as a program that is asked text by text."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.go_programs import GoProgram, GoPrograms

_KUBERNETES = "k8s.io/kubernetes"
_NAME = "addresses"
# Of the control plane's module, whose versions it shares, but built and kept apart from that.
_PROGRAMS = GoPrograms(
    name=_NAME,
    folder=Path(__file__).parent / "controlplane" / "gomod",
    programs={_NAME: GoProgram(package=f"./{_NAME}", module=_KUBERNETES)},
    flags=("-tags", "selinux,notest,grpcnotrace", "-ldflags", "-s -w"),
    version_of=_KUBERNETES,
    sources=(f"{_NAME}/main.go",),
    instead="leave out tests/e2e/test_addresses.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the API server makes of a text."""

    value: str
    """The canonical text, IPv4-mapped addresses as IPv4; empty where it reads no address."""
    plain: bool
    """Whether StrictIPCIDRValidation lets it pass."""
    backend: bool
    """Whether no check of endpoints refuses it."""


class AddressReader:
    """The running program."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        program = _PROGRAMS.find_or_build((_NAME,))[_NAME]
        pipe = subprocess.PIPE
        with subprocess.Popen([str(program)], stdin=pipe, stdout=pipe, text=True) as process:
            yield cls(process)

    def read(self, text: str) -> Reading:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(text)}\n")
        self._process.stdin.flush()
        return Reading(**json.loads(self._process.stdout.readline()))
