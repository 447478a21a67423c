"""What is done with all gradients at once, as functions of the training graph."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
from mindspore import Tensor, amp, ops

from cifar_dist.runtime.context import is_cpu

l2_loss = ops.L2Loss()

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
    norm = ops.sqrt(2.0 * half_squared_norm(gradients))
    return scale(gradients, limit / ops.maximum(norm, limit))


def finite_test() -> Callable[[Gradients], Tensor]:
    """Return what tells whether all numbers of gradients are finite: bool[].

    On a CPU that is whether the square of their norm is, which takes a third of the time of
    amp.all_finite: a norm of 2e19 counts as infinite. An NPU may saturate instead of making
    infinities, and has a flag of its own for it, at which amp.all_finite looks.
    """
    return has_finite_norm if is_cpu() else amp.all_finite


def has_finite_norm(gradients: Gradients) -> Tensor:
    return ops.isfinite(half_squared_norm(gradients))


def half_squared_norm(gradients: Gradients) -> Tensor:
    """Return half the sum of all squares, float32[]: a single operator for each gradient."""
    total = ops.zeros((), ms.float32)
    for gradient in gradients:
        total = total + l2_loss(ops.cast(gradient, ms.float32))
    return total
