"""`python -m tests.telemetry` prints docs/metrics.md."""

import sys

from webhook.telemetry.catalogue import as_markdown

sys.stdout.write(as_markdown())
