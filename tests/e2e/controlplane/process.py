"""Child processes: start, wait until healthy, stop. Knows nothing of what the programs are.

Every process runs in a session of its own, so that Ctrl-C reaches the tests only, which then stop
the components in order. Nothing is ever signalled but a process started here.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import guard

_POLL = 0.05


class ComponentError(RuntimeError):
    """A component exited, or did not become healthy in time; the message ends with its log."""


class Guard:
    """The owner's end of `guard.py`."""

    def __init__(self, *directories: Path) -> None:
        command = (sys.executable, "-I", "-S", guard.__file__, *map(str, directories))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """Have this process killed if we do not live to stop it."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """The process has been waited for: its number may soon be another's."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """Send the guard home: everything has been stopped in order."""
        self._tell("end")
        self._process.communicate(timeout=10)

    def _tell(self, word: str) -> None:
        if self._process.stdin is None or self._process.poll() is not None:
            raise ComponentError("guard.py has exited")
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


class Component:
    """One program of the control plane, which may be stopped and started again."""

    def __init__(self, name: str, log: Path, guardian: Guard) -> None:
        self.name = name
        self.log = log
        self._guard = guardian
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the program; its output is appended to the log."""
        if self._process is not None:
            raise ComponentError(f"{self.name} is already started")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)

    def wait_healthy(self, complaint: Callable[[], str | None], seconds: float) -> None:
        """Wait until `complaint` has none; fail as soon as the process is gone."""
        deadline = time.monotonic() + seconds
        while (words := complaint()) is not None:
            if self.pid is None:
                raise ComponentError(f"{self.name} exited: {self._exit()}\n{self.tail()}")
            if time.monotonic() > deadline:
                text = f"{self.name} is not healthy after {seconds:.0f} s: {words}"
                raise ComponentError(f"{text}\n{self.tail()}")
            time.sleep(_POLL)

    def stop(self, *, kill: bool = False, grace: float = 15.0) -> None:
        """Stop by SIGTERM, or by SIGKILL when asked to or when `grace` has passed. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if not kill:
                process.terminate()
                process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
            self._guard.forget(process.pid)

    def tail(self, lines: int = 25) -> str:
        """Return the end of the log, for error messages."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join([f"--- end of {self.log}", *text.splitlines()[-lines:]])

    def _exit(self) -> str:
        if self._process is None:
            return "it was stopped"
        return f"status {self._process.poll()}"


def environment(home: Path) -> dict[str, str]:
    """Return a clean environment: etcd reads ETCD_*, kubectl reads ~/.kube, all read proxies."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "KUBECACHEDIR": str(home / "kube-cache"),
    }
