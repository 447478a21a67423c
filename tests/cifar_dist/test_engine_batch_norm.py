from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from cifar_dist.engine.batch_norm import Moments, average_statistics, pool
from cifar_dist.runtime.collectives import Alone


class Others:
    """A group whose other ranks give fixed values: a sum without processes."""

    def __init__(self, others: Sequence[NDArray[np.float32]]) -> None:
        self.world_size = 1 + len(others)
        self._others = others

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.sum([values, *self._others], axis=0, dtype=np.float32)

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        raise AssertionError("no counts here")


def moments(sample: NDArray[np.float64]) -> NDArray[np.float32]:
    mean, variance = sample.mean(0), sample.var(0)
    return np.stack([mean, variance, mean**2]).astype(np.float32)


def test_pooled_moments_are_those_of_all_samples_together() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(rank, 1 + rank, (1000, 4)) for rank in range(3)]
    own = moments(samples[0])
    pooled = pool(Moments(own[0], own[1]), Others([moments(sample) for sample in samples[1:]]))
    everything = np.concatenate(samples)
    np.testing.assert_allclose(pooled.mean, everything.mean(0), rtol=1e-4)
    np.testing.assert_allclose(pooled.variance, everything.var(0), rtol=1e-4)


def test_statistics_of_all_layers_are_replaced_in_their_places() -> None:
    network = nn.SequentialCell(nn.BatchNorm2d(2), nn.BatchNorm2d(3))
    own = np.array([[0.0] * 5, [1.0] * 5, [0.0] * 5], dtype=np.float32)
    other = np.array([[2, 4, 6, 8, 10], [3.0] * 5, [4, 16, 36, 64, 100]], dtype=np.float32)
    average_statistics(network, Others([other]))
    np.testing.assert_array_equal(network[0].moving_mean.asnumpy(), [1, 2])
    np.testing.assert_array_equal(network[1].moving_mean.asnumpy(), [3, 4, 5])
    expected = (own[1] + other[1]) / 2 + (own[2] + other[2]) / 2 - np.array([1, 4, 9, 16, 25])
    np.testing.assert_allclose(network[1].moving_variance.asnumpy(), expected[2:])


def test_a_single_rank_keeps_its_statistics() -> None:
    network = nn.SequentialCell(nn.BatchNorm2d(2))
    average_statistics(network, Alone())
    np.testing.assert_array_equal(network[0].moving_variance.asnumpy(), [1, 1])
