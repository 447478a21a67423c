"""What a recipe must fulfil beyond its own keys, checked before anything starts."""

from __future__ import annotations

from pathlib import Path

from cifar_dist.checkpoint.choose import check_choice, choose
from cifar_dist.config import Config, check_batches, global_batch_size
from cifar_dist.config.schema import first_and_last
from cifar_dist.data.shard import steps_per_epoch
from cifar_dist.errors import ConfigError
from cifar_dist.models.registry import find_model
from launcher.contract import RunPaths


def check_resume(config: Config, world_size: int, *, asked: str, folder: Path) -> None:
    """Refuse a checkpoint that a run cannot go on from.

    Args:
        config: the recipe to go on with.
        world_size: number of ranks.
        asked: where to start: "none", "auto" or a path.
        folder: the run directory.

    Raises:
        CheckpointError: there is none where one was named, it is damaged, or of another run.
    """
    choice = choose(asked, RunPaths(folder).checkpoints)
    if choice.checkpoint is not None:
        check_choice(choice, config, global_batch_size=global_batch_size(config.data, world_size))


def check_profile(config: Config, world_size: int, *, num_images: int) -> None:
    """Refuse to profile steps that a run does not have.

    Args:
        config: the recipe.
        world_size: number of ranks.
        num_images: of the training set.

    Raises:
        ConfigError: it has fewer.
    """
    train = config.train
    total = train.epochs * steps_per_epoch(num_images, global_batch_size(config.data, world_size))
    try:
        first_and_last(config.monitor.profile_steps, total=min(total, train.max_steps or total))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_recipe(config: Config, world_size: int) -> None:
    """Refuse a recipe whose batch, model or options cannot be.

    Raises:
        ConfigError: the batch cannot be divided, or the model has no such option.
        ModelError: there is no such model.
    """
    check_batches(config, world_size)
    model = config.model
    own = find_model(model.name).family.options
    offered = {*own, "whitening"}  # which can be put in front of any network
    for key, value in model.options.items():
        if key not in offered:
            raise ConfigError(
                f"'model.{key}' ({value}) is no option of {model.name}: leave it out\n"
                f"  {model.name} can be given: {', '.join(own) or 'no options'}"
            )
