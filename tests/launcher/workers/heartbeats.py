# ruff: noqa: T201
"""Writes heartbeats: heartbeats.py STEPS STEP_S [THEN ...]; THEN is end, sleep, stop or gil."""

import ctypes
import os
import signal
import sys
import time

from launcher.contract import Progress, RankEnv, RunPaths, write_record

own = RankEnv.from_environ(os.environ)
assert own.run_dir is not None
assert own.rank is not None
path = RunPaths(own.run_dir).progress(own.rank)


def beat(phase: str, step: int) -> None:
    write_record(Progress(own.rank or 0, phase, step=step, time=time.time()), path)


steps, step_s = int(sys.argv[1]), float(sys.argv[2])
beat("compile", 0)
print("ready")
for step in range(1, steps + 1):
    time.sleep(step_s)
    beat("train", step)
then = sys.argv[3] if len(sys.argv) > 3 else "end"
if then == "sleep":
    time.sleep(600)
elif then == "stop":
    os.kill(os.getpid(), signal.SIGSTOP)
elif then == "gil":
    ctypes.PyDLL(None).sleep(600)
beat("done", steps)
