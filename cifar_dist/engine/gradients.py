"""What is done with all gradients at once, as functions of the training graph."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, ops

Gradients = tuple[Tensor, ...]


def add(some: Gradients, others: Gradients) -> Gradients:
    """Return the sums, one by one."""
    sums: Gradients = ()
    for i in range(len(some)):
        sums += (some[i] + others[i],)
    return sums


def scale(gradients: Gradients, factor: Tensor | float) -> Gradients:
    """Return the gradients as float32, each times the factor."""
    scaled: Gradients = ()
    for gradient in gradients:
        scaled += (ops.cast(gradient, ms.float32) * factor,)
    return scaled


def clip(gradients: Gradients, limit: float) -> Gradients:
    """Shorten the gradients, as one vector, to ``limit`` where it is longer (arXiv 1211.5063)."""
    total = 0.0
    for gradient in gradients:
        total = total + ops.reduce_sum(ops.square(gradient))
    return scale(gradients, limit / ops.maximum(ops.sqrt(total), limit))
