# ruff: noqa: T201
"""Ends with a code: exits.py CODE [SECONDS_BEFORE]."""

import sys
import time

print("ready")
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
sys.exit(int(sys.argv[1]))
