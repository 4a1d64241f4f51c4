"""`python -m tests.coverage` prints docs/coverage.md."""

import sys

from tests.coverage.document import as_markdown

sys.stdout.write(as_markdown())
