# ruff: noqa: T201
"""Fails in the first attempts, then ends well: fails_first.py FAILURES [CODE]."""

import os
import sys

print("ready")
if int(os.environ["LAUNCHER_WORKER_ATTEMPT"]) < int(sys.argv[1]):
    sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
