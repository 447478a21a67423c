"""Rates of groups of weights, and what they do in an update."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from cifar_dist.config.schema import OptimizerConfig
from cifar_dist.engine.momentum import Momentum
from cifar_dist.engine.parameter_groups import group_weights

RATES = np.float32([0.1, 0.2, 0.3, 0.2, 0.1, 0.0])
NAMES = ("groups.0.conv.weight", "groups.0.bn.beta", "whitening.conv.bias", "classifier.bias")


def weights() -> list[Parameter]:
    shapes = ((2, 3), (3,), (3,), (2,))
    return [
        Parameter(Tensor(np.ones(shape), ms.float32), name=name)
        for name, shape in zip(NAMES, shapes, strict=True)
    ]


def test_without_a_wish_all_weights_are_one_group() -> None:
    groups = group_weights(weights(), RATES, OptimizerConfig(lr=0.3), steps_per_epoch=2)
    assert groups.of_weight == (0, 0, 0, 0)
    (course,) = groups.rates
    np.testing.assert_array_equal(course, RATES)


def test_norm_biases_learn_faster_and_a_whitening_bias_stops() -> None:
    config = OptimizerConfig(lr=0.3, norm_bias_lr_factor=64, whitening_bias_epochs=1.5)
    groups = group_weights(weights(), RATES, config, steps_per_epoch=2)
    plain, fast, stopped, same = (groups.rates[number] for number in groups.of_weight)
    np.testing.assert_array_equal(plain, RATES)
    assert same is plain
    np.testing.assert_array_equal(fast, RATES * 64)
    np.testing.assert_array_equal(stopped, np.float32([0.1, 0.2, 0.3, 0, 0, 0]))


@pytest.mark.parametrize("nesterov", [False, True])
def test_decay_takes_the_same_share_off_fast_and_slow_weights(nesterov: bool) -> None:
    config = OptimizerConfig(
        lr=0.3,
        momentum=0.5,
        nesterov=nesterov,
        weight_decay=0.1,
        decay_norm_and_bias=True,
        norm_bias_lr_factor=64,
    )
    trained = weights()
    groups = group_weights(trained, RATES, config, steps_per_epoch=2)
    update = Momentum(trained, config, groups.of_weight)
    rates = tuple(Tensor(course[1]) for course in groups.rates)
    update(tuple(Tensor(np.zeros(one.shape, np.float32)) for one in trained), rates)
    left = 1 - 0.2 * 0.1 * (1.5 if nesterov else 1)
    for weight in trained:
        np.testing.assert_allclose(weight.asnumpy(), left, rtol=1e-6)
