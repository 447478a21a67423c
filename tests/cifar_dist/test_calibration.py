from __future__ import annotations

from dataclasses import asdict
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.calibration import (
    MAX_IMAGES,
    MAX_NLL,
    UNIT,
    ProbabilitySums,
    accumulate_probabilities,
    calibration,
)
from cifar_dist.runtime.limbs import COUNT_BITS

seeds = st.integers(0, 10_000)


def outputs(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that is right more often than not, and the truth."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 10, count)
    logits = generator.normal(0, 2, (count, 10))
    logits[np.arange(count), truth] += generator.exponential(3, count)
    return logits, truth


def probabilities(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


@given(seeds)
def test_the_numbers_are_those_of_scikit_learn(seed: int) -> None:
    logits, truth = outputs(seed)
    p = probabilities(logits)
    found = calibration(accumulate_probabilities(logits, truth))
    assert found.count == 300
    assert found.nll == pytest.approx(oracle.log_loss(truth, p, labels=range(10)), rel=0, abs=1e-12)
    one_hot = np.eye(10)[truth]
    assert found.brier == pytest.approx(np.square(p - one_hot).sum(axis=1).mean(), rel=0, abs=1e-12)
    top = oracle.top_k_accuracy_score(truth, p, k=5, labels=range(10))
    assert found.top_k == pytest.approx(top, rel=0, abs=1e-12)


@given(seed=seeds, bins=st.integers(1, 20))
def test_the_calibration_error_is_that_of_a_loop_over_bins(seed: int, bins: int) -> None:
    logits, truth = outputs(seed)
    p = probabilities(logits)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    expected = 0.0
    for index in range(bins):
        inside = (confidence >= index / bins) & (confidence < (index + 1) / bins)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    found = calibration(accumulate_probabilities(logits, truth, bins=bins))
    assert found.ece == pytest.approx(expected, rel=0, abs=1e-9)


@given(seed=seeds, world_size=st.integers(1, 5), batch=st.integers(1, 50))
def test_any_number_of_ranks_gives_the_same_numbers_to_the_last_digit(
    seed: int, world_size: int, batch: int
) -> None:
    logits, truth = outputs(seed)
    parts: list[ProbabilitySums] = []
    for rank in range(world_size):
        own_logits, own_truth = logits[rank::world_size], truth[rank::world_size]
        for first in range(0, len(own_truth), batch):
            rows = slice(first, first + batch)
            parts.append(accumulate_probabilities(own_logits[rows], own_truth[rows]))
    whole = calibration(accumulate_probabilities(logits, truth))
    assert calibration(reduce(add, parts)) == whole


def test_padding_does_not_count() -> None:
    logits, truth = outputs(0)
    mask = np.arange(300) < 200
    masked = accumulate_probabilities(logits, np.where(mask, truth, 99), mask=mask)
    assert calibration(masked) == calibration(accumulate_probabilities(logits[:200], truth[:200]))


def test_a_batch_of_padding_only_adds_nothing() -> None:
    logits, truth = outputs(0)
    nothing = accumulate_probabilities(logits, truth, mask=np.zeros(300, dtype=bool))
    assert all(np.sum(value) == 0 for value in asdict(nothing).values())
    assert all(value.dtype == np.int64 for value in asdict(nothing).values())


def test_certainty_of_the_right_and_of_the_wrong_class_have_their_limits() -> None:
    sure = np.array([[1000.0, 0, 0], [1000.0, 0, 0]])
    right = calibration(accumulate_probabilities(sure, [0, 0]))
    assert (right.nll, right.brier, right.ece) == (0, 0, 0)
    wrong = calibration(accumulate_probabilities(sure, [1, 1], k=1))
    assert (wrong.nll, wrong.brier, wrong.ece, wrong.top_k) == (MAX_NLL, 2, 1, 0)


def test_the_largest_sum_is_one_that_ranks_can_add() -> None:
    assert MAX_NLL * UNIT * MAX_IMAGES < 2**COUNT_BITS


def test_sums_travel_as_one_array_of_whole_numbers() -> None:
    sums = accumulate_probabilities(*outputs(0))
    counts = sums.to_counts()
    assert counts.dtype == np.int64
    back = ProbabilitySums.from_counts(counts + counts)
    assert calibration(back) == calibration(sums + sums)


def test_ties_go_to_the_lower_class() -> None:
    found = accumulate_probabilities(np.zeros((3, 4)), [0, 1, 2], k=2)
    assert int(found.top_k) == 2


def test_no_images_are_refused() -> None:
    with pytest.raises(NotComputableError, match="not 0"):
        calibration(accumulate_probabilities(np.zeros((0, 10)), []))
