"""The recipe: what it may hold, and how it is found, read, checked and written back."""

from __future__ import annotations

from cifar_dist.config.batch import batch_size_per_rank, check_batches, global_batch_size
from cifar_dist.config.load import Recipe, dump_config, find_recipe, load_config
from cifar_dist.config.schema import (
    CheckpointConfig,
    Config,
    DataConfig,
    EvalConfig,
    ModelConfig,
    MonitorConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)

__all__ = [
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "EvalConfig",
    "ModelConfig",
    "MonitorConfig",
    "OptimizerConfig",
    "Recipe",
    "ScheduleConfig",
    "TrainConfig",
    "batch_size_per_rank",
    "check_batches",
    "dump_config",
    "find_recipe",
    "global_batch_size",
    "load_config",
]
