"""The rival of training: ``mindspore.train.Model.train`` as a MindSpore user writes it.

Data from a mindspore.dataset graph (Cifar10Dataset, RandomCrop, RandomHorizontalFlip, Normalize,
HWC2CHW), the monitors LossMonitor and TimeMonitor, graph mode, float32.
"""

from __future__ import annotations

import argparse
from typing import Any

import mindspore as ms
import mindspore.dataset as ms_dataset
import numpy as np
from mindspore import Tensor, nn
from mindspore.dataset import transforms, vision
from mindspore.train import Callback, LossMonitor, Model, TimeMonitor

from cifar_dist.bench.gate import Gate
from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.models import create_model


def cifar10(folder: str, batch_size: int, *, workers: int) -> Any:
    """Return the usual training graph over the binary files."""
    mean, std = ([255 * value for value in values] for values in (MEAN_RGB, STD_RGB))
    ms_dataset.config.set_num_parallel_workers(workers)
    images = ms_dataset.Cifar10Dataset(folder, usage="train", shuffle=True).map(
        [
            vision.RandomCrop((32, 32), (4, 4, 4, 4)),
            vision.RandomHorizontalFlip(),
            vision.Normalize(mean, std),
            vision.HWC2CHW(),
        ],
        input_columns="image",
    )
    labels = images.map(transforms.TypeCast(ms.int32), input_columns="label")
    return labels.batch(batch_size, drop_remainder=True)


class AtGate(Callback):
    """Stop after each stretch until the bench says go; the last of the callbacks."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def on_train_step_end(self, run_context: Any) -> None:
        if run_context.original_args().cur_step_num % self._gate.stretch:
            return
        if not self._gate.wait():
            run_context.request_stop()


def again(step: nn.Cell, batch_size: int, gate: Gate) -> None:
    """Train on one batch until the bench is gone."""
    images = Tensor(np.zeros((batch_size, 3, 32, 32), np.float32))
    labels = Tensor(np.zeros(batch_size, np.int32))
    step.set_train()
    while True:
        for _ in range(gate.stretch):
            loss = step(images, labels)
        loss.asnumpy()
        if not gate.wait():
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--fixed", action="store_true", help="one batch again and again")
    args = parser.parse_args()
    gate = Gate.from_environ()
    assert gate is not None, "started without a bench"
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device("CPU")
    network = create_model(args.model, 10)
    optimizer = nn.Momentum(network.trainable_params(), 0.02, 0.9, weight_decay=5e-4)
    loss = nn.CrossEntropyLoss()
    if args.fixed:
        again(nn.TrainOneStepCell(nn.WithLossCell(network, loss), optimizer), args.batch_size, gate)
        return
    model = Model(network, loss_fn=loss, optimizer=optimizer, amp_level="O0")
    model.train(
        1000,
        cifar10(args.data, args.batch_size, workers=2),
        callbacks=[LossMonitor(), TimeMonitor(), AtGate(gate)],
        dataset_sink_mode=False,
    )


if __name__ == "__main__":
    main()
