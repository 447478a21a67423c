from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_dist.data.shard import (
    epoch_permutation,
    eval_shard,
    steps_per_epoch,
    train_indices,
)

seeds = st.integers(0, 2**32 - 1)


def global_batch(permutation: np.ndarray, step: int, batch: int, world_size: int) -> list[int]:
    parts = [
        train_indices(permutation, step, batch_size=batch, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    assert all(len(part) == batch for part in parts)
    return np.concatenate(parts).tolist()


@given(seed=seeds, epoch=st.integers(0, 10_000), n=st.integers(0, 500))
def test_an_epoch_holds_each_image_once(seed: int, epoch: int, n: int) -> None:
    assert sorted(epoch_permutation(seed, epoch, n).tolist()) == list(range(n))


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = [epoch_permutation(seed, epoch, 1000) for seed in range(3) for epoch in range(3)]
    for index, one in enumerate(orders):
        for other in orders[:index]:
            assert (one == other).mean() < 0.02
    assert (orders[0] == epoch_permutation(0, 0, 1000)).all()


def test_the_order_is_the_same_in_every_version() -> None:
    assert epoch_permutation(7, 3, 10).tolist() == [2, 1, 3, 9, 0, 4, 8, 5, 6, 7]


def test_every_image_is_as_likely_early_as_late() -> None:
    places = np.stack([np.argsort(epoch_permutation(0, epoch, 20)) for epoch in range(4000)])
    standard_error = np.sqrt((20**2 - 1) / 12 / 4000)
    assert np.abs(places.mean(axis=0) - 9.5).max() < 4.5 * standard_error


@settings(max_examples=200)
@given(
    seed=seeds,
    n=st.integers(1, 400),
    world_size=st.integers(1, 9),
    batch=st.integers(1, 20),
)
def test_all_ranks_together_read_the_epoch_in_order_without_overlap(
    seed: int, n: int, world_size: int, batch: int
) -> None:
    permutation = epoch_permutation(seed, 0, n)
    steps = steps_per_epoch(n, world_size * batch)
    read = [
        image
        for step in range(steps)
        for image in global_batch(permutation, step, batch, world_size)
    ]
    assert read == permutation[: steps * world_size * batch].tolist()
    assert n - len(read) < world_size * batch


@given(seed=seeds, epoch=st.integers(0, 50), step=st.integers(0, 4))
def test_a_global_batch_holds_the_same_images_for_every_world_size(
    seed: int, epoch: int, step: int
) -> None:
    permutation = epoch_permutation(seed, epoch, 130)
    expected = global_batch(permutation, step, 24, 1)
    for world_size in (2, 3, 4, 6, 8, 12, 24):
        assert global_batch(permutation, step, 24 // world_size, world_size) == expected


@pytest.mark.parametrize(("rank", "world_size"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_outside_of_the_group_is_refused(rank: int, world_size: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} is not in a group of {world_size}"):
        train_indices(np.arange(10), 0, batch_size=1, rank=rank, world_size=world_size)
    with pytest.raises(ValueError, match=f"rank {rank} is not in a group of {world_size}"):
        eval_shard(10, batch_size=1, rank=rank, world_size=world_size)


@pytest.mark.parametrize("step", [-1, 2])
def test_a_step_outside_of_the_epoch_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=f"step {step} is not in an epoch of steps 0 to 1"):
        train_indices(np.arange(11), step, batch_size=2, rank=0, world_size=2)


@settings(max_examples=200)
@given(n=st.integers(1, 1000), world_size=st.integers(1, 9), batch=st.integers(1, 64))
def test_evaluation_counts_each_image_once_in_equal_steps(
    n: int, world_size: int, batch: int
) -> None:
    shards = [
        eval_shard(n, batch_size=batch, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    steps = -(-n // (batch * world_size))
    counted: list[int] = []
    for indices, mask in shards:
        assert indices.shape == mask.shape == (steps, batch)
        assert 0 <= indices.min() <= indices.max() < n
        counted += indices[mask].tolist()
    assert sorted(counted) == list(range(n))


def test_ten_thousand_images_on_three_ranks_are_ten_thousand() -> None:
    masks = [eval_shard(10_000, batch_size=200, rank=r, world_size=3)[1] for r in range(3)]
    assert sum(int(mask.sum()) for mask in masks) == 10_000
