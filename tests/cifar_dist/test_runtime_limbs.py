from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.runtime.limbs import (
    COUNT_BITS,
    EXACT_BITS,
    join_counts,
    join_words,
    limb_bits,
    split_counts,
    split_words,
)

COUNTS = st.integers(0, 2**COUNT_BITS - 1)


@given(
    ranks=st.lists(st.lists(COUNTS, min_size=3, max_size=3), min_size=1, max_size=9),
)
def test_sums_in_float32_are_exact(ranks: list[list[int]]) -> None:
    # each count leaves room for the sum of all ranks in an int64
    counts = [np.array(values, dtype=np.int64) // len(ranks) for values in ranks]
    limbs = [split_counts(values, len(ranks)) for values in counts]
    total = np.zeros_like(limbs[0])
    for part in limbs:
        total = (total + part).astype(np.float32)
    np.testing.assert_array_equal(join_counts(total, len(ranks)), np.sum(counts, axis=0))


@pytest.mark.parametrize("world_size", [1, 2, 3, 8, 4096, 2**23])
def test_the_largest_sum_of_a_limb_is_a_whole_float32(world_size: int) -> None:
    largest = world_size * (2 ** limb_bits(world_size) - 1)
    assert largest <= 2**EXACT_BITS


def test_more_ranks_than_float32_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="more than float32 can count"):
        limb_bits(2**24)


@pytest.mark.parametrize("bad", [-1, 2**COUNT_BITS])
def test_counts_out_of_range_are_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="counts must be"):
        split_counts(np.array([bad]), 2)


@given(st.binary(max_size=99))
def test_bytes_come_through_a_sum_with_zeros(data: bytes) -> None:
    words = split_words(data)
    assert words.dtype == np.float32
    assert join_words(np.zeros_like(words) + words)[: len(data)] == data


def test_numbers_that_a_float_sum_would_change_come_through() -> None:
    numbers = np.array([-0.0, np.nan, np.inf, 1e-45], dtype=np.float32)
    numbers.view(np.uint32)[1] |= 12345  # a NaN with a message of its own
    assert join_words(split_words(numbers.tobytes())) == numbers.tobytes()
