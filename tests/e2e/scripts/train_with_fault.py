"""A rank of a training run in which something goes wrong that no code of ours does.

Usage: train_with_fault.py FAULT RANK STEP[,STEP] ARGUMENT ...

FAULT is "poison": the rank's images of those steps of the first epoch are NaN; or "drift": one bit
of one of its weights is another after each of the steps. The arguments are those of
``cifar_dist train``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator

import numpy as np
from mindspore import Tensor

from cifar_dist.cli import main
from cifar_dist.data.batches import TrainBatch
from cifar_dist.engine.graph_batches import GraphBatches
from cifar_dist.engine.step import TrainStep
from cifar_dist.engine.task import LOADERS
from launcher.contract import RankEnv


def poison(steps: Collection[int]) -> None:
    """Let the images of some steps be NaN; data.loader=mindspore feeds floats."""

    class Poisoned(GraphBatches):
        def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[TrainBatch]:
            for batch in super().epoch(epoch, first_step=first_step):
                if epoch == 0 and batch.step + 1 in steps:
                    batch = batch._replace(images_nchw=np.full_like(batch.images_nchw, np.nan))
                yield batch

    LOADERS["mindspore"] = Poisoned


def drift(steps: Collection[int]) -> None:
    """Change one bit of one weight after some steps."""
    run = TrainStep.__call__

    def call(self: TrainStep, *inputs: Tensor) -> Tensor:
        loss = run(self, *inputs)
        if int(self.steps.asnumpy()) in steps:
            weight = self.network.trainable_params()[-1]
            array = np.array(weight.asnumpy())
            array.view(np.uint32)[0] ^= np.uint32(1 << 20)
            weight.set_data(Tensor(array))
        return loss

    TrainStep.__call__ = call


if __name__ == "__main__":
    fault, rank, steps = sys.argv[1], int(sys.argv[2]), set(map(int, sys.argv[3].split(",")))
    if RankEnv.from_environ(os.environ).rank == rank:
        {"poison": poison, "drift": drift}[fault](steps)
    sys.exit(main(["train", *sys.argv[4:]]))
