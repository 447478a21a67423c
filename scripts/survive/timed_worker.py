"""A rank of ``cifar_dist train`` that notes how long its loop waits for saving.

Usage: timed_worker.py ARGUMENTS OF cifar_dist train
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from cifar_dist.cli import main
from cifar_dist.engine import trainer
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.step import TrainStep
from cifar_dist.engine.watch import Watch
from launcher.contract import RankEnv, RunPaths, write_atomic

spent: dict[str, float] = {"saving_s": 0.0, "saves": 0}
moments: list[float] = []


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent["saving_s"] += time.perf_counter() - start

    return call


def watched(step: Callable[..., Any]) -> Callable[..., Any]:
    """Wait for each step, so that none of its time is taken for that of a save."""

    def call(*args: Any) -> Any:
        loss = step(*args)
        loss.asnumpy()
        moments.append(time.perf_counter())
        return loss

    return call


def counted(save: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        spent["saves"] += 1
        return save(*args, **kwargs)

    return call


trainer._save = timed(trainer._save)
Watch.judge_weights = timed(Watch.judge_weights)
Outlets.save = counted(Outlets.save)
TrainStep.__call__ = watched(TrainStep.__call__)
code = main(["train", *sys.argv[1:]])
spent["loop_s"] = time.perf_counter() - moments[0]
run_dir = RankEnv.from_environ(os.environ).run_dir
assert run_dir is not None
write_atomic(RunPaths(run_dir).root / "times.json", json.dumps(spent))
sys.exit(code)
