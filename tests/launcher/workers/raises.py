# ruff: noqa: T201
"""Fails with an exception: raises.py MESSAGE [SECONDS_BEFORE]."""

import sys
import time

print("ready")
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
raise RuntimeError(sys.argv[1])
