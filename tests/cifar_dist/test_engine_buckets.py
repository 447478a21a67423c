from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.engine.average import average_over_ranks, buckets_of, describe_messages, mark
from cifar_dist.engine.buckets import (
    BUCKET_BYTES,
    LAST_BYTES,
    WHOLE_BYTES,
    Buckets,
    choose_buckets,
)
from cifar_dist.models import create_model

sizes = st.lists(st.integers(1, 12 * 2**20), min_size=1, max_size=80)


@given(sizes)
def test_every_parameter_is_in_one_message(sizes_bytes: list[int]) -> None:
    buckets = choose_buckets(sizes_bytes)
    assert sum(buckets.sizes_bytes) == sum(sizes_bytes)
    assert len(buckets.sizes_bytes) == len(buckets.ends) + 1
    assert list(buckets.ends) == sorted(set(buckets.ends))
    assert all(0 <= end < len(sizes_bytes) - 1 for end in buckets.ends)


@given(sizes)
def test_a_message_is_closed_as_soon_as_it_is_large_enough(sizes_bytes: list[int]) -> None:
    buckets = choose_buckets(sizes_bytes)
    if buckets.ends:
        largest = max(sizes_bytes)
        assert all(size < BUCKET_BYTES + largest for size in buckets.sizes_bytes[1:])


def test_the_first_layers_travel_last_and_in_little() -> None:
    buckets = choose_buckets([10, 2**19, 4 * 2**20, 2**20, 9 * 2**20])
    assert buckets.ends == (1, 3)
    assert buckets.sizes_bytes == (10 + 2**19, 5 * 2**20, 9 * 2**20)
    assert buckets.sizes_bytes[0] <= LAST_BYTES


def test_a_small_network_is_one_message() -> None:
    assert choose_buckets([WHOLE_BYTES // 4] * 4) == Buckets((), (WHOLE_BYTES,))
    assert str(choose_buckets([500_000, 500_000])) == "1 message of 1 MB"


@pytest.mark.parametrize(
    ("model", "least", "most"),
    [("lenet5", 1, 1), ("resnet20", 1, 1), ("resnet110", 1, 2), ("resnet18", 4, 8)],
)
def test_messages_of_networks(model: str, least: int, most: int) -> None:
    weights = create_model(model, 10, seed=None).trainable_params()
    buckets = buckets_of(weights)
    assert least <= len(buckets.sizes_bytes) <= most
    mark(weights, buckets)
    numbers = [weight.comm_fusion for weight in weights]
    assert numbers == sorted(numbers)
    assert numbers[-1] == len(buckets.sizes_bytes)
    for end in buckets.ends:
        assert numbers[end] + 1 == numbers[end + 1]


def test_on_a_cpu_small_gradients_are_joined_and_large_ones_travel_alone() -> None:
    weights = create_model("resnet18", 10, seed=None).trainable_params()
    average = average_over_ranks(weights, 2)
    large = [
        weight.name for weight, small in zip(weights, average.is_small, strict=True) if not small
    ]
    assert 5 <= len(large) <= 20
    assert f"{len(large)} of" in describe_messages(weights)
    assert describe_messages(create_model("lenet5", 10).trainable_params()).startswith(
        "one message"
    )
