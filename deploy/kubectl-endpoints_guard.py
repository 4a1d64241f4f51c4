"""Runs the program from the folder of libraries beside this file.

Python is isolated (-I): libraries of the user or of PYTHONPATH are of other versions. And the path
is not handed on by the environment, because kubeconfigs may run Python programs of others.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))

from webhook.cli import main

main()
