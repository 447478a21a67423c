"""The end of a rank that has done all it had to do."""

from __future__ import annotations

import logging
import os
import sys
import time

from cifar_dist.runtime.context import DistContext
from launcher.contract import Progress, RankEnv, RunPaths, read_record

PATIENCE_S = 2.0
_LOOK_S = 0.05


def depart(env: RankEnv, context: DistContext, *, patience_s: float = PATIENCE_S) -> None:
    """End this process with exit code 0, past MindSpore's own way out of a CPU cluster.

    That one waits up to a second for the next heartbeat, and was seen to crash under mpirun and
    without heartbeats (MindSpore 2.10): a run that has succeeded ends with 139 then. Before, all
    ranks must have come to their end, for a sum of mccl returns before its last messages have been
    sent. A rank returns and ends as ever that is alone, has an NPU, whose scheduler is not our
    launcher's and waits for a farewell, or that does not see the others come to their end.

    Args:
        env: who started this rank.
        context: its group; all files are closed, all threads of ours have ended.
        patience_s: how long the others may take.
    """
    is_ours = env.job_id is not None and env.run_dir is not None
    if context.world_size == 1 or context.device_target != "CPU" or not is_ours:
        return
    if not _all_are_done(env, context.world_size, time.monotonic() + patience_s):
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _all_are_done(env: RankEnv, world_size: int, deadline_s: float) -> bool:
    """Wait until the progress files of all ranks say so; False: it took too long."""
    assert env.run_dir is not None
    paths = RunPaths(env.run_dir)
    waiting = set(range(world_size))
    while True:
        for rank in tuple(waiting):
            progress = read_record(Progress, paths.progress(rank))
            if progress is not None and progress.phase == "done":
                waiting.remove(rank)
        if not waiting or time.monotonic() >= deadline_s:
            return not waiting
        time.sleep(_LOOK_S)
