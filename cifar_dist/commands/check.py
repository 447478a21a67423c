"""What a recipe must fulfil beyond its own keys, checked before anything starts."""

from __future__ import annotations

from cifar_dist.config import Config, check_batches
from cifar_dist.errors import ConfigError
from cifar_dist.models.registry import find_model


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
