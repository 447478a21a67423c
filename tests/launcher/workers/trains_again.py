"""Fails after three steps, and trains again from there when it is started anew."""

import os
import sys
import time

from launcher.contract import Progress, RankEnv, RunPaths, write_record

own = RankEnv.from_environ(os.environ)
assert own.run_dir is not None
path = RunPaths(own.run_dir).progress(own.rank or 0)
write_record(Progress(own.rank or 0, "compile", step=3 * own.attempt), path)
time.sleep(0.3)
for step in range(1, 4):
    time.sleep(0.3)
    write_record(Progress(own.rank or 0, "train", step=3 * own.attempt + step), path)
sys.exit(own.attempt == 0)
