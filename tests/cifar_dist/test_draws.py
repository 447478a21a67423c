from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.data.draws import below, draws

GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def splitmix64(state: int, count: int) -> list[int]:
    """The generator as it is published, one number after the other."""
    numbers = []
    for _ in range(count):
        state = (state + GOLDEN) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def test_the_reference_is_the_published_generator() -> None:
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 1000))
def test_numbers_of_one_epoch_are_a_stretch_of_splitmix64(seed: int, epoch: int) -> None:
    found = draws(seed, "view", epoch, np.arange(6)).tolist()
    key = _unmix(found[0])
    assert found[1:] == splitmix64(key, 5)


def _unmix(value: int) -> int:
    value = _unshift(value, 31)
    value = _unshift(value * pow(0x94D049BB133111EB, -1, 2**64) & MASK, 27)
    return _unshift(value * pow(0xBF58476D1CE4E5B9, -1, 2**64) & MASK, 30)


def _unshift(value: int, by: int) -> int:
    result = value
    for _ in range(64 // by):
        result = value ^ (result >> by)
    return result


def test_the_numbers_never_change_between_versions() -> None:
    assert draws(1, "view", 2, [0, 3]).tolist() == [10648733867962779476, 773377828512101252]


@pytest.mark.parametrize("other", [(2, "a", 0), (1, "b", 0), (1, "a", 1)])
def test_seed_stream_and_epoch_each_change_all_numbers(other: tuple[int, str, int]) -> None:
    indices = np.arange(1000)
    assert not np.any(draws(1, "a", 0, indices) == draws(*other, indices))


def test_numbers_do_not_depend_on_order_or_company() -> None:
    whole = draws(3, "a", 1, np.arange(100))
    assert draws(3, "a", 1, [7, 3, 99]).tolist() == whole[[7, 3, 99]].tolist()
    assert draws(3, "a", 1, 42) == whole[42]


def test_the_indices_that_were_given_are_left_as_they_are() -> None:
    indices = np.arange(5, dtype=np.uint64)
    draws(0, "a", 0, indices)
    assert indices.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 9, 10, 33])
def test_numbers_below_a_count_are_equally_likely_and_both_halves_independent(count: int) -> None:
    bits = draws(0, "a", 0, np.arange(200_000))
    low, high = below(bits, count), below(bits >> np.uint64(32), count)
    table = np.bincount(low * count + high, minlength=count**2)
    expected = len(bits) / count**2
    chi_square = float(((table - expected) ** 2 / expected).sum())
    freedom = count**2 - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom + 1)


def test_the_lowest_bit_says_nothing_about_the_number_below() -> None:
    bits = draws(0, "a", 0, np.arange(200_000))
    odd = (bits & np.uint64(1)).astype(float)
    for half in (bits, bits >> np.uint64(32)):
        assert abs(np.corrcoef(odd, below(half, 9))[0, 1]) < 0.01
