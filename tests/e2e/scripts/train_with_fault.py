"""A rank of a training run in which something goes wrong that no code of ours does.

Usage: train_with_fault.py FAULT RANK STEP ARGUMENT ...

FAULT is "poison": the rank's images of that step of the first epoch are NaN; or "drift": one bit of
one of its weights is another after that step. The arguments are those of ``cifar_dist train``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from mindspore import Tensor

from cifar_dist.cli import main
from cifar_dist.engine import trainer
from cifar_dist.engine.step import TrainStep
from launcher.contract import RankEnv


def poison(step: int) -> None:
    """Let the images of a step be NaN; data.loader=mindspore feeds floats."""
    convert: Callable[..., Any] = trainer.step_inputs

    def inputs(batch: Any) -> tuple[Tensor, ...]:
        if (batch.epoch, batch.step + 1) == (0, step):
            batch = batch._replace(images_nchw=np.full_like(batch.images_nchw, np.nan))
        return convert(batch)

    trainer.step_inputs = inputs


def drift(step: int) -> None:
    """Change one bit of one weight after a step."""
    run = TrainStep.__call__

    def call(self: TrainStep, *inputs: Tensor) -> Tensor:
        loss = run(self, *inputs)
        if int(self.steps.asnumpy()) == step:
            weight = self.network.trainable_params()[-1]
            array = np.array(weight.asnumpy())
            array.view(np.uint32)[0] ^= np.uint32(1 << 20)
            weight.set_data(Tensor(array))
        return loss

    TrainStep.__call__ = call


if __name__ == "__main__":
    fault, rank, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if RankEnv.from_environ(os.environ).rank == rank:
        {"poison": poison, "drift": drift}[fault](step)
    sys.exit(main(["train", *sys.argv[4:]]))
