# ruff: noqa: T201
"""Leaves a process in a session of its own that ignores SIGTERM: forks_grandchild.py [CODE].

Without a code it goes on itself; with one it ends.
"""

import os
import signal
import sys
import time

reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(writer, str(os.getpid()).encode())
    time.sleep(600)
    os._exit(0)
os.wait()
print("grandchild", os.read(reader, 16).decode())
print("ready")
if len(sys.argv) > 1:
    sys.exit(int(sys.argv[1]))
time.sleep(600)
