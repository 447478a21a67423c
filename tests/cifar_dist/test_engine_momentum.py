"""The update against its formula in NumPy."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from cifar_dist.config.schema import OptimizerConfig
from cifar_dist.engine.momentum import Momentum, decays

RATE = 0.1


def parameters() -> list[Parameter]:
    draw = np.random.default_rng(1).standard_normal
    return [
        Parameter(Tensor(draw((3, 2)), ms.float32), name="dense.weight"),
        Parameter(Tensor(draw(3), ms.float32), name="dense.bias"),
    ]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay_norm_and_bias", [False, True])
def test_three_updates_follow_the_formula(nesterov: bool, decay_norm_and_bias: bool) -> None:
    config = OptimizerConfig(
        lr=RATE,
        momentum=0.9,
        nesterov=nesterov,
        weight_decay=0.01,
        decay_norm_and_bias=decay_norm_and_bias,
    )
    weights = parameters()
    update = Momentum(weights, config)
    expected = [weight.asnumpy().astype(np.float64) for weight in weights]
    velocities = [np.zeros_like(value) for value in expected]
    for step in range(3):
        draw = np.random.default_rng(step).standard_normal
        gradients = [draw(weight.shape).astype(np.float32) for weight in weights]
        update(tuple(map(Tensor, gradients)), (Tensor(RATE, ms.float32),))
        for i, gradient in enumerate(gradients):
            pull = 0.01 if decay_norm_and_bias or expected[i].ndim > 1 else 0.0
            total = gradient + pull * expected[i]
            velocities[i] = 0.9 * velocities[i] + total
            move = total + 0.9 * velocities[i] if nesterov else velocities[i]
            expected[i] = expected[i] - RATE * move
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.asnumpy(), value, rtol=1e-5, atol=1e-6)


def test_norms_and_biases_are_told_by_their_one_dimension() -> None:
    dense, bias = parameters()
    assert decays(dense)
    assert not decays(bias)
