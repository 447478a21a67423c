"""A running average of the weights, kept in the training graph and evaluated beside them.

Averages of the last weights are often better than the weights themselves (Polyak and Juditsky,
1992; arXiv 1803.05407). The running statistics of batch norm are averaged alike, so that the
average is a whole network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from cifar_dist.engine.assign import assign


class WeightAverage(nn.Cell):
    """average <- keep average + (1 - keep) weight, after each update.

    After t updates ``keep`` is the smaller of ``decay`` and (1 + t) / (10 + t), so that the first
    random weights are soon forgotten.

    Args:
        network: all its parameters are averaged.
        decay: above 0, below 1.
    """

    def __init__(self, network: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(list(network.get_parameters()))
        self.averages = self.weights.clone(prefix="ema", init="same")
        for average in self.averages:
            average.requires_grad = False
        self.updates = Parameter(Tensor(0, ms.int32), "ema_updates", requires_grad=False)
        self.decay = decay

    def construct(self) -> None:
        count = ops.cast(self.updates, ms.float32)
        gain = 1.0 - ops.minimum((1.0 + count) / (10.0 + count), self.decay)
        for i in range(len(self.weights)):
            ops.assign_add(self.averages[i], gain * (self.weights[i] - self.averages[i]))
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network hold the average within the block, and the weights again after it."""
        with exchanged(self.weights, self.averages):
            yield


@contextmanager
def exchanged(some: Sequence[Parameter], others: Sequence[Parameter]) -> Iterator[None]:
    """Let each parameter hold the value of its counterpart within the block, and back after it."""
    _exchange(some, others)
    try:
        yield
    finally:
        _exchange(some, others)


def _exchange(some: Sequence[Parameter], others: Sequence[Parameter]) -> None:
    for one, other in zip(some, others, strict=True):
        of_one, of_other = one.asnumpy().copy(), other.asnumpy().copy()
        assign(one, of_other)
        assign(other, of_one)
