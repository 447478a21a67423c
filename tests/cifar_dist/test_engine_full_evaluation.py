"""The whole evaluation of a network: exact over ranks, and honest about outputs that are none."""

from __future__ import annotations

from collections.abc import Iterator

import mindspore as ms
import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.engine.full_evaluation import Counted, Share, evaluate_fully
from cifar_dist.engine.inference import InferenceStep, probabilities
from cifar_dist.engine.step import EvalStep
from cifar_dist.metrics.calibration import calibration
from cifar_dist.models import create_model
from cifar_dist.runtime.collectives import Alone
from cifar_dist.runtime.limbs import join_counts, split_counts

IMAGES = synthetic_dataset("test", 50)
SCORED = 4


@pytest.fixture(scope="module")
def network() -> ms.nn.Cell:
    ms.set_context(mode=ms.GRAPH_MODE)
    return create_model("lenet5", seed=1)


@pytest.fixture(scope="module")
def step(network: ms.nn.Cell) -> EvalStep:
    return EvalStep(network)


class Ranks:
    """One rank of several that run one after another: first they say, then they hear the sums."""

    def __init__(self, world_size: int, said: list[list[NDArray[np.int64]]]) -> None:
        self.world_size = world_size
        self._said = said
        self._own: list[NDArray[np.int64]] = []
        self._sums: Iterator[NDArray[np.int64]] | None = None

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(self._said) < self.world_size:
            self._own.append(counts)
            return counts
        self._sums = self._sums or (self._sum(parts) for parts in zip(*self._said, strict=True))
        return next(self._sums)

    def _sum(self, parts: tuple[NDArray[np.int64], ...]) -> NDArray[np.int64]:
        limbs = [split_counts(part, self.world_size) for part in parts]
        return join_counts(np.sum(limbs, axis=0, dtype=np.float32), self.world_size)

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        raise AssertionError("sums of floats depend on the number of ranks")

    def end(self) -> None:
        self._said.append(self._own)


def on(world_size: int, step: EvalStep) -> list[Counted]:
    """Evaluate on so many ranks; return what each of them got."""
    said: list[list[NDArray[np.int64]]] = []
    for rank in range(world_size):
        group = Ranks(world_size, said)
        evaluate_fully(step, IMAGES, Share(8, rank, group), num_classes=10, score_class=SCORED)
        group.end()
    return [
        evaluate_fully(
            step,
            IMAGES,
            Share(8, rank, Ranks(world_size, said)),
            num_classes=10,
            score_class=SCORED,
        )
        for rank in range(world_size)
    ]


def test_ranks_come_to_what_one_alone_comes_to_to_the_last_digit(step: EvalStep) -> None:
    alone = evaluate_fully(step, IMAGES, Share(8, 0, Alone()), num_classes=10, score_class=SCORED)
    assert alone.tally.count == 50
    for found in (*on(2, step), *on(3, step)):
        np.testing.assert_array_equal(found.tally.confusion, alone.tally.confusion)
        assert found.tally.loss_units == alone.tally.loss_units
        assert calibration(found.sums) == calibration(alone.sums)
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_scores_are_the_probabilities_in_the_order_of_the_images(
    network: ms.nn.Cell, step: EvalStep
) -> None:
    found = evaluate_fully(step, IMAGES, Share(8, 0, Alone()), num_classes=10, score_class=SCORED)
    expected = probabilities(InferenceStep(network), IMAGES.images_nchw, batch_size=16)
    np.testing.assert_allclose(found.scores, expected[:, SCORED], rtol=1e-5)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-12)


def test_no_scores_are_gathered_that_nobody_asked_for(step: EvalStep) -> None:
    found = evaluate_fully(step, IMAGES, Share(25, 0, Alone()), num_classes=10)
    assert len(found.scores) == 0


def test_a_network_that_has_diverged_gives_no_probabilities() -> None:
    broken = create_model("lenet5", seed=1)
    for weight in broken.trainable_params():
        weight.set_data(ms.Tensor(np.full(weight.shape, np.nan, dtype=np.float32)))
    found = evaluate_fully(
        EvalStep(broken), IMAGES, Share(25, 0, Alone()), num_classes=10, score_class=SCORED
    )
    assert found.tally.broken_losses == 50
    assert int(found.sums.count) == 0
    assert np.isnan(found.scores).all()
