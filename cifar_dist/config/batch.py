"""How the global batch is divided over ranks."""

from __future__ import annotations

from cifar_dist.config.schema import Config, DataConfig
from cifar_dist.errors import ConfigError


def batch_size_per_rank(data: DataConfig, world_size: int) -> int:
    """Return how many images one rank trains on in one step.

    Args:
        data: the section with either batch_size or global_batch_size.
        world_size: number of ranks, >= 1.

    Raises:
        ConfigError: the global batch does not divide evenly; the message names what would.
    """
    if data.batch_size is not None:
        return data.batch_size
    whole = data.global_batch_size
    assert whole is not None, "the schema fills in one of the two"
    if whole % world_size == 0:
        return whole // world_size
    raise ConfigError(
        f"'data.global_batch_size' ({whole}) cannot be divided evenly over {world_size} ranks\n"
        f"  {world_size} ranks can share {_batches_that_fit(whole, world_size)}; "
        f"{whole} images can be shared by {_ranks_that_fit(whole, world_size)} ranks"
    )


def check_batches(config: Config, world_size: int) -> None:
    """Refuse a batch that cannot be divided over the ranks, or within a rank as the recipe asks.

    Raises:
        ConfigError: as :func:`batch_size_per_rank`, or train.accumulation_steps does not divide
            the images of one rank.
    """
    per_rank, parts = batch_size_per_rank(config.data, world_size), config.train.accumulation_steps
    if per_rank % parts:
        raise ConfigError(
            f"'train.accumulation_steps' ({parts}) does not divide the {per_rank} images that each "
            f"of {world_size} ranks has in a step\n  all parts must be equal: change it, or "
            "data.batch_size or data.global_batch_size"
        )


def global_batch_size(data: DataConfig, world_size: int) -> int:
    """Return how many images all ranks together train on in one step; errors as above."""
    return batch_size_per_rank(data, world_size) * world_size


def _batches_that_fit(whole: int, world_size: int) -> str:
    below = whole - whole % world_size
    return f"{below} or {below + world_size}" if below else f"{world_size}"


def _ranks_that_fit(whole: int, world_size: int) -> str:
    fewer = max(n for n in range(1, world_size) if whole % n == 0)
    more = next((n for n in range(world_size + 1, whole + 1) if whole % n == 0), None)
    return f"{fewer} or {more}" if more else f"{fewer}"
