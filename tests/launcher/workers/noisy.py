"""Healthy but noisy: noisy.py STEPS; each step takes 1 to 99 ms, other ones on each rank."""

import os
import random
import sys
import time

from launcher.contract import Progress, RankEnv, RunPaths, write_record

own = RankEnv.from_environ(os.environ)
assert own.run_dir is not None
assert own.rank is not None
path = RunPaths(own.run_dir).progress(own.rank)
draw = random.Random(own.rank)
for step in range(1, int(sys.argv[1]) + 1):
    time.sleep(draw.uniform(0.001, 0.099))
    write_record(Progress(own.rank, "train", step=step, time=time.time()), path)
