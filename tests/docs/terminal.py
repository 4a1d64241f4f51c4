"""A terminal in a folder of its own, in which a page is followed step by step."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.pages import EXAMPLES, ROOT, Command, File, Step, difference

_SECONDS = 240
_HEALTH = re.compile(r'"health_listen":"127\.0\.0\.1:(\d+)"')
# These say by exit code 1 that they found, or did not find, something.
_SAYS_NO = re.compile(r"^endpoints-guard |^kubectl auth can-i |\| grep ")
# What differs from run to run: the port of the demo.
_VARIES = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}")


class Terminal:
    """Follows steps; the first that is not as the page says fails the test."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        *,
        programs: Path | None = None,
        rewrite: Callable[[str], str] = str,
    ) -> None:
        for source in (*EXAMPLES.glob("*/*"), ROOT / "charts"):
            target = folder / source.name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        self._folder = folder
        self._rewrite = rewrite
        ours = filter(None, (programs, Path(sys.executable).parent))
        path = ":".join((*map(str, ours), os.environ.get("PATH", os.defpath)))
        # A page's server listens on ports that others may have.
        listen = {f"ENDPOINTS_GUARD_SERVE_{k}LISTEN": "127.0.0.1:0" for k in ("", "HEALTH_")}
        self._variables = {"PATH": path, "HOME": str(folder), **listen, **variables}

    def follow(self, page: Path, step: Step) -> None:
        """Write the file, or run the command and compare."""
        if isinstance(step, File):
            (self._folder / step.name).write_text(step.text, encoding="utf-8")
            return
        where = f"{page.relative_to(ROOT)}:{step.line}: {step.words}"
        if re.match(r"endpoints-guard serve\b", step.words):
            self._serve(where, step.words)
        else:
            self._run(where, step)

    def _run(self, where: str, command: Command) -> None:
        done = subprocess.run(
            ["/bin/bash", "-c", self._rewrite(command.words)],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        printed = f"{where}\nexit code {done.returncode}\n{done.stdout}"
        may_say_no = command.output and _SAYS_NO.search(command.words)
        assert done.returncode == 0 or (done.returncode == 1 and may_say_no), printed
        if not command.output:
            return
        expected = tuple(_VARIES.sub("PORT", line) for line in command.output)
        unlike = difference(expected, _VARIES.sub("PORT", done.stdout))
        assert not unlike, f"{where}\n{unlike}"

    def _serve(self, where: str, words: str) -> None:
        """A server: it must become ready, and stop when it is told to."""
        log = self._folder / "serve.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", f"exec {words} --drain-seconds 0"],
                cwd=self._folder,
                env=self._variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + 120
            while not _ready(text := log.read_text(encoding="utf-8")):
                assert process.poll() is None, f"{where}\n{text}"
                assert time.monotonic() < deadline, f"{where}\n{text}"
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait()


def _ready(log: str) -> bool:
    """Whether the server that writes this log says so at its health port."""
    if (found := _HEALTH.search(log)) is None:
        return False
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
