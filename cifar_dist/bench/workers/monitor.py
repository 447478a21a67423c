"""The loop of a training run with all its observers, over steps that compute nothing.

What a bare loop over the same batches takes is subtracted. The difference of two trainings, one of
them without monitoring, would drown in their noise. CPU time is taken, of all threads: it hardly
depends on what else the machine does.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor

from cifar_dist.bench.gate import Gate
from cifar_dist.commands.observers import open_observers
from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.prefetch import Prefetch
from cifar_dist.data.source import open_dataset
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.step import step_inputs
from cifar_dist.engine.task import TrainTask, build_train_task
from cifar_dist.engine.trainer import train
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.runtime.context import enter
from launcher.contract import RankEnv, RunPaths

BATCH_SIZE = 64
EPOCHS, STEPS_PER_EPOCH = 10, 200
RECIPE = (
    "data.source=synthetic",
    f"data.synthetic_train_images={BATCH_SIZE * STEPS_PER_EPOCH}",
    "data.synthetic_test_images=100",
    "data.global_batch_size=null",
    f"data.batch_size={BATCH_SIZE}",
    f"train.epochs={EPOCHS}",
    f"eval.interval_epochs={EPOCHS}",
    f"checkpoint.interval_epochs={EPOCHS}",
)


class Ready:
    """A training step that has nothing to do, and notes the CPU time of its first and last call."""

    def __init__(self, step: Any, loss: Any) -> None:
        self._step, self._loss = step, loss
        self._first_s: float | None = None
        self._last_s = 0.0

    def __call__(self, *batch: Any) -> Any:
        self._last_s = time.process_time()
        if self._first_s is None:
            self._first_s = self._last_s
        return self._loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def take_s(self) -> float:
        """Return the CPU seconds of all threads from the first to the last call, and forget it."""
        first_s, self._first_s = self._first_s, None
        return self._last_s - (self._last_s if first_s is None else first_s)


def ready_task() -> TrainTask:
    config = load_config(find_recipe("lenet5.yaml"), RECIPE).config
    context = enter(RankEnv(), mode="graph", device_target="CPU")
    train_set, eval_set = (open_dataset(config.data, split) for split in ("train", "test"))
    task = build_train_task(config, context, train_set, eval_set)
    ready: Any = Ready(task.step, Tensor(2.3, ms.float32))
    return replace(task, step=ready)


def cost_s(task: TrainTask) -> float:
    """Return the CPU seconds a step that the loop takes with all observers beyond a bare one."""
    step: Any = task.step
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        paths = RunPaths(Path(folder))
        observers = open_observers(task, paths)
        for observer in observers:
            closing.callback(observer.close)
        outlets = Outlets(observers, ProgressFile(paths.root, 0), paths.checkpoints, paths.report)
        train(task, outlets)
    watched_s: float = step.take_s()
    with Prefetch(task.batches.epochs(EPOCHS)) as batches:
        for batch in batches:
            step(*step_inputs(batch))
    bare_s: float = step.take_s()
    return (watched_s - bare_s) / (task.total_steps - 1)


def main() -> None:
    gate = Gate.from_environ()
    assert gate is not None, "started without a bench"
    task = ready_task()
    is_wanted = gate.wait()
    while is_wanted:
        is_wanted = gate.wait(cost_s=cost_s(task))


if __name__ == "__main__":
    main()
