"""A rank of a training run that leaves a digest of every parameter it ended with.

Usage: train_and_digest.py RECIPE section.key=value ...
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.source import open_dataset, split_for_training
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.state import to_arrays, train_parameters
from cifar_dist.engine.task import build_train_task
from cifar_dist.engine.trainer import train
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.runtime.context import enter
from launcher.contract import RankEnv, RunPaths, write_atomic


def main() -> None:
    env = RankEnv.from_environ(os.environ)
    assert env.run_dir is not None
    paths = RunPaths(env.run_dir)
    config = load_config(find_recipe(sys.argv[1]), sys.argv[2:]).config
    splits = ("train", split_for_training(config.data))
    sets = [open_dataset(config.data, split) for split in splits]
    context = enter(env, mode=config.train.mode, device_target="CPU")
    task = build_train_task(config, context, *sets)
    observers = [MetricsFile(paths.metrics)] if context.is_main else []
    progress = ProgressFile(paths.root, context.rank)
    train(task, Outlets(observers, progress, paths.checkpoints, paths.report))
    digests = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in to_arrays(train_parameters(task.step)).items()
    }
    write_atomic(paths.root / f"digests_{context.rank}.json", json.dumps(digests))


if __name__ == "__main__":
    main()
