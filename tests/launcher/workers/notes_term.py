# ruff: noqa: T201
"""Writes the monotonic time at which SIGTERM came, then ends: notes_term.py FOLDER."""

import os
import signal
import sys
import time
from pathlib import Path


def note(number: int, frame: object) -> None:
    moment = time.monotonic_ns()
    Path(sys.argv[1], f"term_{os.environ['RANK_ID']}").write_text(str(moment))
    sys.exit(0)


signal.signal(signal.SIGTERM, note)
print("ready")
while True:
    signal.pause()
