"""Slow weights against their formula in NumPy."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from cifar_dist.engine.lookahead import Lookahead, shares_kept

DECAY = 0.9


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize("total", [6, 7])
def test_fast_weights_are_pulled_back_every_few_steps(mode: int, total: int) -> None:
    ms.set_context(mode=mode)
    network = nn.SequentialCell(nn.Dense(3, 2), nn.BatchNorm1d(2))
    update = Lookahead(network, total_steps=total, interval=3, decay=DECAY)
    parameters = list(network.get_parameters())
    slow = [one.asnumpy().astype(np.float64) for one in parameters]
    for step in range(1, total + 1):
        draw = np.random.default_rng(step).standard_normal
        fast = [draw(one.shape).astype(np.float32) for one in parameters]
        for parameter, value in zip(parameters, fast, strict=True):
            parameter.set_data(Tensor(value))
        update(Tensor(step, ms.int32))
        if step % 3 == 0:
            keep = DECAY**3 * (step / total) ** 3
            slow = [keep * a + (1 - keep) * b for a, b in zip(slow, fast, strict=True)]
        is_pulled = step % 3 == 0 or step == total
        for i, parameter in enumerate(parameters):
            np.testing.assert_allclose(update.slow[i].asnumpy(), slow[i], rtol=1e-5, atol=1e-6)
            wanted = slow[i] if is_pulled else fast[i]
            np.testing.assert_allclose(parameter.asnumpy(), wanted, rtol=1e-5, atol=1e-6)
    ms.set_context(mode=ms.GRAPH_MODE)


def test_shares_grow_with_the_cube_of_the_way_and_the_rest_of_the_run_is_dropped() -> None:
    np.testing.assert_allclose(shares_kept(4, interval=2, decay=1), [0, -1, 0.125, -1, 1])
    np.testing.assert_allclose(shares_kept(3, interval=2, decay=0.5), [0, -1, 0.25 * 8 / 27, 1])


def test_slow_weights_can_take_the_place_of_the_fast_ones() -> None:
    network = nn.Dense(3, 2)
    update = Lookahead(network, total_steps=10, interval=5, decay=DECAY)
    before = network.weight.asnumpy().copy()
    network.weight.set_data(Tensor(before + 1))
    with update.in_place():
        np.testing.assert_array_equal(network.weight.asnumpy(), before)
    np.testing.assert_array_equal(network.weight.asnumpy(), before + 1)
