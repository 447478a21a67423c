# ruff: noqa: T201
"""Cannot be ended politely."""

import signal
import time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("ready")
time.sleep(600)
