"""The update against its formula in NumPy."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from cifar_dist.config.schema import OptimizerConfig
from cifar_dist.engine.adamw import AdamW

RATE = 0.1


def parameters() -> list[Parameter]:
    draw = np.random.default_rng(1).standard_normal
    return [
        Parameter(Tensor(draw((3, 2)), ms.float32), name="dense.weight"),
        Parameter(Tensor(draw(3), ms.float32), name="dense.bias"),
    ]


@pytest.mark.parametrize("decay_norm_and_bias", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.0), (0.0, 0.95)])
def test_four_updates_follow_the_formula(
    decay_norm_and_bias: bool, betas: tuple[float, float]
) -> None:
    beta1, beta2 = betas
    config = OptimizerConfig(
        name="adamw",
        lr=RATE,
        beta1=beta1,
        beta2=beta2,
        eps=1e-3,
        weight_decay=0.1,
        decay_norm_and_bias=decay_norm_and_bias,
    )
    weights = parameters()
    update = AdamW(weights, config)
    expected = [weight.asnumpy().astype(np.float64) for weight in weights]
    means, squares = ([np.zeros_like(value) for value in expected] for _ in range(2))
    for step in range(1, 5):
        draw = np.random.default_rng(step).standard_normal
        gradients = [draw(weight.shape).astype(np.float32) for weight in weights]
        update(tuple(map(Tensor, gradients)), (Tensor(RATE, ms.float32),))
        for i, gradient in enumerate(gradients):
            pull = 0.1 if decay_norm_and_bias or expected[i].ndim > 1 else 0.0
            means[i] = beta1 * means[i] + (1 - beta1) * gradient
            squares[i] = beta2 * squares[i] + (1 - beta2) * np.square(gradient, dtype=np.float64)
            root = np.sqrt(squares[i] / (1 - beta2**step)) + 1e-3
            move = means[i] / (1 - beta1**step) / root
            expected[i] = expected[i] * (1 - RATE * pull) - RATE * move
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.asnumpy(), value, rtol=1e-4, atol=1e-5)


def test_what_it_remembers_has_stable_names() -> None:
    update = AdamW(parameters(), OptimizerConfig(name="adamw", lr=RATE))
    assert [slot.name for slot in update.slots] == [
        "mean.dense.weight",
        "mean.dense.bias",
        "square.dense.weight",
        "square.dense.bias",
        "updates",
    ]
