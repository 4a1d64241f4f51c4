"""Takes the pictures of the HTML page in docs/images: python -m tests.reports.screenshots

They show what the audit says of a real control plane after the attack of `make e2e`.
"""

import base64
import sys
import tempfile
from pathlib import Path

from tests.e2e import attack
from tests.reports.chromium import ChromiumMissing, browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1120, 1000


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        page = Path(folder) / "audit.html"
        attack.main(f"html={page}")
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
