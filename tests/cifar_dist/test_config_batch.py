from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.config import (
    Config,
    DataConfig,
    batch_size_per_rank,
    check_batches,
    global_batch_size,
)
from cifar_dist.errors import ConfigError


def data(**keys: int) -> DataConfig:
    return DataConfig.model_validate(keys)


def test_a_global_batch_is_divided_over_the_ranks() -> None:
    assert batch_size_per_rank(data(global_batch_size=128), 4) == 32
    assert batch_size_per_rank(data(), 8) == 16


def test_a_batch_per_rank_grows_the_global_batch() -> None:
    assert batch_size_per_rank(data(batch_size=32), 4) == 32
    assert global_batch_size(data(batch_size=32), 4) == 128


def test_a_global_batch_that_does_not_divide_names_what_would() -> None:
    with pytest.raises(ConfigError) as caught:
        batch_size_per_rank(data(global_batch_size=100), 3)
    assert str(caught.value) == (
        "'data.global_batch_size' (100) cannot be divided evenly over 3 ranks\n"
        "  3 ranks can share 99 or 102; 100 images can be shared by 2 or 4 ranks"
    )


@given(whole=st.integers(1, 3000), world_size=st.integers(1, 64))
def test_what_the_message_proposes_works(whole: int, world_size: int) -> None:
    try:
        assert batch_size_per_rank(data(global_batch_size=whole), world_size) * world_size == whole
    except ConfigError as error:
        batches, ranks = str(error).splitlines()[1].split("; ")
        for number in _numbers(batches.partition("share")[2]):
            assert number % world_size == 0
        for number in _numbers(ranks.partition("by")[2]):
            assert whole % number == 0


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split() if word.isdecimal()]


def test_the_parts_of_a_batch_must_be_equal() -> None:
    config = Config.model_validate(
        {
            "model": {"name": "lenet5"},
            "data": {"global_batch_size": 48},
            "train": {"epochs": 1, "accumulation_steps": 4},
            "optimizer": {"lr": 0.1},
        }
    )
    check_batches(config, 3)
    with pytest.raises(ConfigError, match=r"steps' \(4\) does not divide the 6"):
        check_batches(config, 8)
