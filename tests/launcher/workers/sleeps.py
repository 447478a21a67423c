# ruff: noqa: T201
"""Sleeps: sleeps.py [SECONDS]. SIGTERM ends it as it ends any program."""

import sys
import time

print("ready")
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
