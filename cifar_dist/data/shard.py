"""Which images each rank reads, as pure functions.

Training: an epoch is one permutation of the data set, cut into global batches; every rank takes its
contiguous part of each. The set of images in global batch s of an epoch is therefore the same for
every world size. Images of an incomplete last batch are left out in that epoch.

Evaluation: every image exactly once on any number of ranks. Shards are padded to equal steps, for
collectives need all ranks, and a mask says which entries count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.draws import draws


def epoch_permutation(seed: int, epoch: int, num_images: int) -> NDArray[np.int64]:
    """Return the order of an epoch: int64[num_images], a permutation of 0 to num_images - 1.

    Args:
        seed: of the run, >= 0.
        epoch: 0-based; each has an order of its own.
        num_images: size of the training set, >= 0.
    """
    keys = draws(seed, "order", epoch, np.arange(num_images))
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def steps_per_epoch(num_images: int, global_batch_size: int) -> int:
    """Return how many whole global batches an epoch has; 0 where not even one fits."""
    return num_images // global_batch_size


def train_indices(
    permutation: NDArray[np.int64], step: int, *, batch_size: int, rank: int, world_size: int
) -> NDArray[np.int64]:
    """Return the images that one rank trains on in one step of an epoch.

    Args:
        permutation: of the epoch, see :func:`epoch_permutation`.
        step: 0-based within the epoch.
        batch_size: images per rank.
        rank: of this worker.
        world_size: number of ranks.

    Returns:
        int64[batch_size]; all ranks together hold the permutation's next batch_size * world_size.

    Raises:
        ValueError: the rank or the step does not exist.
    """
    _check_rank(rank, world_size)
    start = (step * world_size + rank) * batch_size
    if step < 0 or (step + 1) * world_size * batch_size > len(permutation):
        last = steps_per_epoch(len(permutation), world_size * batch_size) - 1
        raise ValueError(f"step {step} is not in an epoch of steps 0 to {last}")
    return permutation[start : start + batch_size]


def eval_shard(
    num_images: int, *, batch_size: int, rank: int, world_size: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the images that one rank evaluates, and which of them count.

    Args:
        num_images: size of the test set, >= 1.
        batch_size: images per rank and step.
        rank: of this worker.
        world_size: number of ranks.

    Returns:
        indices: int64[steps, batch_size]; steps is the same on all ranks.
        mask: bool of the same shape, False where an entry only fills up (its index is 0). Over all
            ranks each of 0 to num_images - 1 stands under True exactly once.

    Raises:
        ValueError: the rank does not exist.
    """
    _check_rank(rank, world_size)
    steps = -(-num_images // (batch_size * world_size))
    everything = np.arange(steps * world_size * batch_size, dtype=np.int64)
    mine = everything.reshape(steps, world_size, batch_size)[:, rank]
    mask = mine < num_images
    return np.where(mask, mine, 0), mask


def _check_rank(rank: int, world_size: int) -> None:
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not in a group of {world_size}")
