"""Takes the pictures of the HTML page in docs/images: python -m tests.reports.screenshots"""

import base64
import sys
import tempfile
from pathlib import Path

from tests.reports.attacked import report
from tests.reports.chromium import ChromiumMissing, browser
from webhook import __version__
from webhook.core.formats.about import About
from webhook.core.formats.html_page import render

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1120, 1000
ABOUT = About(command="audit", version=__version__, at="2026-11-25T12:00:00Z")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        page = Path(folder) / "audit.html"
        page.write_text(render(report(), ABOUT), encoding="utf-8")
        chromium.command(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=1,
            mobile=False,
        )
        for scheme in ("light", "dark"):
            chromium.colours(scheme)
            chromium.open(page)
            image = chromium.driver.get_screenshot_as_base64()
            (IMAGES / f"audit-{scheme}.png").write_bytes(base64.b64decode(image))


if __name__ == "__main__":
    try:
        main()
    except ChromiumMissing as error:
        sys.exit(str(error))
