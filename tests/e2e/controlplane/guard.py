"""Cleans up after a test process that could not: killed, crashed, or gone through `os._exit`.

Run as a script of its own. It is told on standard input which processes exist ("+PID", "-PID").
When that pipe ends without an "end" line, it kills what is left, last started first, and removes
the directory given as its argument. It never touches a process that it was not told of.
"""

import contextlib
import os
import shutil
import signal
import sys


def _follow() -> list[int] | None:
    """Return the processes left over, or None if their owner said that all is in order."""
    alive: list[int] = []
    for line in sys.stdin:
        word = line.strip()
        if word == "end":
            return None
        if word.startswith("+"):
            alive.append(int(word))
        elif -int(word) in alive:
            alive.remove(-int(word))
    return alive


def main() -> None:
    """Wait for the owner's end, then clean up if it did not."""
    left = _follow()
    if left is None:
        return
    for pid in reversed(left):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for directory in sys.argv[1:]:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
