"""Slow weights that follow the fast ones and are given back to them, in the training graph.

Lookahead (arXiv 1907.08610), with a share that grows over the run as in arXiv 2404.00498: early
fast weights are nearly kept, late ones pulled back towards the slow ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.engine.weight_average import exchanged


def shares_kept(total_steps: int, *, interval: int, decay: float) -> NDArray[np.float32]:
    """Return the share of the slow weights that is kept after each number of steps.

    After step t of T, a multiple of the interval, it is decay^interval (t / T)^3. After the last
    step it is 1 where T is no multiple: what the fast weights did since then is dropped.

    Returns:
        float32[total_steps + 1], by the number of steps; -1 where all weights are left alone.
    """
    steps = np.arange(total_steps + 1)
    kept = decay**interval * (steps / max(1, total_steps)) ** 3
    shares = np.where(steps % interval == 0, kept, -1.0)
    if total_steps % interval:
        shares[-1] = 1.0
    return shares.astype(np.float32)


class Lookahead(nn.Cell):
    """slow <- keep slow + (1 - keep) weight, weight <- slow, every so many steps.

    The running statistics of batch norm follow alike, so that the slow weights are a whole network.

    Args:
        network: all its parameters are followed.
        total_steps: of the whole run.
        interval: steps from one time to the next.
        decay: above 0, at most 1; keep ends at decay^interval.
    """

    def __init__(self, network: nn.Cell, *, total_steps: int, interval: int, decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(list(network.get_parameters()))
        self.slow = self.weights.clone(prefix="slow", init="same")
        for slow in self.slow:
            slow.requires_grad = False
        self.shares = Tensor(shares_kept(total_steps, interval=interval, decay=decay), ms.float32)
        self.last = total_steps

    def construct(self, steps: Tensor) -> None:
        """Take the number of steps done, this one included: int32[].

        Without a branch: see :mod:`cifar_dist.engine.assign`.
        """
        keep = self.shares[ops.minimum(steps, self.last)]
        is_due = keep >= 0.0
        gain = ops.select(is_due, 1.0 - keep, ops.zeros_like(keep))
        for i in range(len(self.weights)):
            slow = self.slow[i] + gain * (self.weights[i] - self.slow[i])
            ops.assign(self.slow[i], slow)
            ops.assign(self.weights[i], ops.where(is_due, slow, self.weights[i]))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network hold the slow weights within the block, and its own again after it."""
        with exchanged(self.weights, self.slow):
            yield
