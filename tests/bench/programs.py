"""Finds Gatekeeper and the load generator vegeta, or builds them once from their Go modules.

`$GATEKEEPER_BIN` and `$VEGETA_BIN` win. Gatekeeper's CustomResourceDefinitions come with its
module.
"""

import os
from pathlib import Path

from tests.go_programs import GoProgram, GoPrograms

_GATEKEEPER = "github.com/open-policy-agent/gatekeeper/v3"
_VEGETA = "github.com/tsenart/vegeta/v12"

PROGRAMS = GoPrograms(
    name="bench",
    folder=Path(__file__).parent / "gomod",
    programs={
        "gatekeeper": GoProgram(package=_GATEKEEPER, module=_GATEKEEPER),
        "vegeta": GoProgram(package=_VEGETA, module=_VEGETA),
    },
    flags=("-ldflags", "-s -w"),
    version_of=_GATEKEEPER,
    instead="set GATEKEEPER_BIN and VEGETA_BIN",
)


def gatekeeper() -> Path:
    """Return the program. Raises BinariesError."""
    return _program("gatekeeper")


def vegeta() -> Path:
    """Return the program. Raises BinariesError."""
    return _program("vegeta")


def gatekeeper_crds() -> list[Path]:
    """Return the files of Gatekeeper's CustomResourceDefinitions. Raises BinariesError."""
    return sorted((PROGRAMS.module_folder(_GATEKEEPER) / "charts/gatekeeper/crds").glob("*.yaml"))


def _program(name: str) -> Path:
    given = os.environ.get(f"{name.upper()}_BIN")
    return Path(given).absolute() if given else PROGRAMS.find_or_build((name,))[name]
