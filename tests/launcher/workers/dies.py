# ruff: noqa: T201
"""Ends by a signal: dies.py NUMBER [SECONDS_BEFORE]."""

import os
import sys
import time

print("ready")
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
os.kill(os.getpid(), int(sys.argv[1]))
time.sleep(60)
