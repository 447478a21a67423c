# ruff: noqa: T201
"""Writes heartbeats with all their numbers, and a line every second step: shows.py STEPS."""

import os
import sys
import time

from launcher.contract import Progress, RankEnv, RunPaths, write_record

own = RankEnv.from_environ(os.environ)
assert own.run_dir is not None
assert own.rank is not None
path, steps = RunPaths(own.run_dir).progress(own.rank), int(sys.argv[1])
for step in range(steps):
    time.sleep(0.1)
    if step % 2 == 0:
        print(f"line {step}")
    numbers = {"loss": 1.5, "accuracy": 0.5, "step_ms": 16.0, "images_per_s": 2000.0}
    sign = Progress(own.rank, "train", 1, step, time.time(), 30, steps, **numbers)
    write_record(sign, path)
