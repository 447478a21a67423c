from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.health.checksum import NOT_FINITE, dissenters, mark, own_row
from cifar_dist.health.fault import (
    judge_height,
    judge_losses,
    judge_skips,
    judge_weights,
)

GUESS = math.log(10)


def losses(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_a_loss_that_is_not_finite_is_named_with_its_step_and_rank() -> None:
    fault = judge_losses(
        losses([2, 2, 2], [2, math.nan, math.nan]), steps=[38, 39, 40], skipped_steps=0
    )
    assert fault is not None
    assert (fault.kind, fault.step, fault.ranks) == ("loss", 39, (1,))
    assert "step 39 is not finite on rank 1 (nan)" in fault.text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_any_value_that_is_not_finite_is_found(value: float) -> None:
    fault = judge_losses(losses([value]), steps=[1], skipped_steps=0)
    assert fault is not None
    assert fault.ranks == (0,)


def test_a_loss_that_is_not_finite_is_an_overflow_where_all_such_steps_made_no_update() -> None:
    two = losses([math.inf, 2, 2], [2, 2, math.nan])
    noted = judge_losses(two, steps=[1, 2, 3], skipped_steps=2)
    assert noted is not None
    assert (noted.kind, noted.step, noted.ranks) == ("overflow", 1, (0,))
    assert "its update was left out" in noted.text
    assert not noted.is_of_a_batch
    fault = judge_losses(two, steps=[1, 2, 3], skipped_steps=1)
    assert fault is not None
    assert (fault.kind, fault.step) == ("loss", 1)


def test_steps_that_were_left_out_are_no_columns() -> None:
    fault = judge_losses(losses([2, 2, math.nan, 2]), steps=[5, 6, 8, 10], skipped_steps=0)
    assert fault is not None
    assert fault.step == 8


def test_finite_losses_are_no_fault() -> None:
    assert judge_losses(losses([3e38, -3e38], [0, 1]), steps=[1, 2], skipped_steps=0) is None


def height(value: float, before: list[float]) -> str | None:
    fault = judge_height(
        losses([value, value], [value, 3 * value]), before, steps=[9, 10], factor=4, guess=GUESS
    )
    return fault and fault.text


def test_an_explosion_is_measured_by_the_median_of_the_reports_before() -> None:
    before = [2.0, 2.0, 2.0, 2.0, 99.0]
    assert height(5.0, before) is None
    text = height(6.0, before)
    assert text is not None
    assert "rose to 9, more than 4 times the 2" in text
    assert "highest at step 10, on rank 1" in text


def test_a_loss_no_worse_than_guessing_is_no_explosion() -> None:
    assert height(GUESS / 2, [0.001] * 9) is None


def test_few_reports_before_are_no_measure() -> None:
    assert height(1e6, [0.1] * 4) is None


def test_so_many_steps_in_a_row_without_an_update_are_a_fault() -> None:
    assert judge_skips(29, 30, step=29, loss_scale=1.0) is None
    fault = judge_skips(30, 30, step=30, loss_scale=1.0)
    assert fault is not None
    assert (fault.kind, fault.step) == ("skips", 30)


NAMES = ["conv.weight", "bn.moving_mean", "dense.bias"]


def table(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def test_one_rank_of_three_that_differs_is_named_wherever_it_stands() -> None:
    for odd in range(3):
        rows = [[7, 0, 8] for _ in range(3)]
        rows[odd][2] = 9
        fault = judge_weights(table(*rows), NAMES, step=12)
        assert fault is not None
        assert (fault.kind, fault.step, fault.ranks) == ("drift", 12, (odd,))
        assert fault.parameters == ("dense.bias",)
        others = ", ".join(str(rank) for rank in range(3) if rank != odd)
        assert f"of rank {odd} are not those of ranks {others} after step 12" in fault.text
        assert not fault.is_of_a_batch


@pytest.mark.parametrize("rows", [[7, 6], [7, 7, 6, 6], [7, 6, 5], [7, 7, 6, 6, 5]])
def test_without_a_majority_all_ranks_are_named_and_none_is_believed(rows: list[int]) -> None:
    fault = judge_weights(table(*[[value, 0, 8] for value in rows]), NAMES, step=1)
    assert fault is not None
    assert fault.ranks == tuple(range(len(rows)))
    assert fault.parameters == ("conv.weight",)
    shown = ", ".join(map(str, range(len(rows))))
    assert f"weights of ranks {shown} are not equal after step 1" in fault.text
    assert "cannot be told which are right" in fault.text


def test_weights_that_are_not_finite_come_before_those_that_differ() -> None:
    fault = judge_weights(table([7, NOT_FINITE, 8], [6, 0, 8]), NAMES, step=3)
    assert fault is not None
    assert (fault.kind, fault.ranks, fault.parameters) == ("weights", (0,), ("bn.moving_mean",))


def test_equal_and_finite_weights_are_no_fault() -> None:
    assert judge_weights(table([7, 0, 8], [7, 0, 8]), NAMES, step=3) is None
    assert judge_weights(table([7, 0, 8]), NAMES, step=3) is None


def test_many_ranks_and_names_stay_one_line() -> None:
    rows = [[1] * 50 for _ in range(64)]
    rows += [[i] * 50 for i in range(100, 130)]
    fault = judge_weights(table(*rows), [f"p{i}" for i in range(50)], step=3)
    assert fault is not None
    assert len(fault.ranks) == 30
    assert "and 25 more" in fault.text
    assert len(fault.text) < 200


@given(st.integers(0, 999), st.integers(0, 31))
def test_one_changed_bit_of_one_weight_changes_the_mark(place: int, bit: int) -> None:
    weights = np.linspace(-1, 1, 1000, dtype=np.float32)
    other = weights.copy()
    other.view(np.uint32)[place] ^= np.uint32(1 << bit)
    assert mark(weights, is_shared=True) != mark(other, is_shared=True)


def test_statistics_of_a_rank_of_its_own_are_marked_only_where_they_are_not_finite() -> None:
    assert mark(np.float32([1, 2]), is_shared=False) == 0
    for value in (math.nan, math.inf, -math.inf):
        assert mark(np.float32([1, value]), is_shared=False) == NOT_FINITE
        assert mark(np.float32(value), is_shared=True) & NOT_FINITE


def test_rows_of_all_ranks_add_up_to_the_table() -> None:
    rows = [own_row(np.array([rank, 10 * rank]), rank=rank, world_size=3) for rank in range(3)]
    assert np.array_equal(sum(rows), [[0, 0], [1, 10], [2, 20]])
    assert dissenters(np.array([[1], [2], [2], [3]])) == (0, 3)
