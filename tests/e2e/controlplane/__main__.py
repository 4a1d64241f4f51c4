"""`python -m tests.e2e.controlplane`: the control plane by hand, to look around in."""

import argparse
import signal
import sys
import time
from typing import NoReturn

from . import BinariesError, ComponentError, ControlPlane, find_or_build
from .binaries import kubernetes_version

_EPILOG = """\
Programs come from $KUBEBUILDER_ASSETS, or are built once from their Go modules into
${XDG_CACHE_HOME:-~/.cache}/endpoints-guard/controlplane, which takes some minutes.
With KEEP_E2E=1 the directory with data, logs and keys is kept.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.controlplane",
        description=f"Run a real Kubernetes {kubernetes_version()} control plane on loopback.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--build-only", action="store_true", help="only get the programs")
    return parser


def main() -> int:
    """Return the exit code: 0, or 1 when the programs or a component fail."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.build_only:
            print(find_or_build().kube_apiserver.parent)
        else:
            _run()
    except (BinariesError, ComponentError) as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _run() -> None:
    """Start everything, say how to reach it, wait, and notice when a component dies."""
    with ControlPlane.start() as plane:
        print(f"export KUBECONFIG={plane.kubeconfig()}")
        print(f"# kubectl: {plane.binaries.kubectl}")
        print(f"# logs and audit log: {plane.directory}")
        print("# Ctrl-C stops it", flush=True)
        running = plane.pids
        while plane.pids == running:
            time.sleep(0.5)
        gone = ", ".join(sorted(running.keys() - plane.pids))
        raise ComponentError(f"{gone} exited by itself")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
