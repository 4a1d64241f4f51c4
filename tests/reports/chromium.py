"""Chromium with its driver, in which the HTML report is read.

    python -m tests.reports.chromium

installs both with apt-get where they are missing. `$CHROMIUM` and `$CHROMEDRIVER` name others.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVERS = ("chromedriver", "chromium.chromedriver")
PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class ChromiumMissing(RuntimeError):
    """There is no Chromium, and none could be had."""


def programs() -> tuple[str, str]:
    """Paths of the browser and of its driver. Raises `ChromiumMissing`."""
    browser = os.environ.get("CHROMIUM") or _first(BROWSERS)
    driver = os.environ.get("CHROMEDRIVER") or _first(DRIVERS)
    if browser is None or driver is None:
        raise ChromiumMissing(
            f"no {'Chromium' if browser is None else 'ChromeDriver'} on this machine: "
            "run `python -m tests.reports.chromium` as root on Debian or Ubuntu, "
            "or set CHROMIUM and CHROMEDRIVER to the two programs"
        )
    return browser, driver


def install() -> None:
    """Install both where they are missing. Raises `ChromiumMissing` when that is not possible."""
    try:
        programs()
    except ChromiumMissing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *PACKAGES)
        programs()


def _first(names: tuple[str, ...]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ("apt-get", "--quiet", *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChromiumMissing(f"{' '.join(command)} failed: {done.stderr.strip()}")


@contextmanager
def browser() -> Iterator["Browser"]:
    """A browser of one's own, with nothing in its profile."""
    from selenium import webdriver  # noqa: PLC0415 - not there before `install` has run
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    program, driver_program = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(driver_program))
        try:
            yield Browser(driver)
        finally:
            driver.quit()


class Browser:
    """What the tests do with it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        driver.set_page_load_timeout(120)
        driver.set_script_timeout(120)

    def open(self, page: Path) -> None:
        """Show a file, and forget what was logged before."""
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page, whatever the page itself allows."""
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **arguments: object) -> None:
        """Send a command of the DevTools protocol."""
        self.driver.execute_cdp_cmd(name, arguments)

    def colours(self, scheme: str) -> None:
        """Prefer `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def errors(self) -> list[str]:
        """What the console has said since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The URLs that were asked for since the page was opened."""
        events = [
            json.loads(each["message"])["message"] for each in self.driver.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


if __name__ == "__main__":
    try:
        install()
    except ChromiumMissing as error:
        sys.exit(str(error))
