"""What the commands that use a saved network have in common: finding and opening it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.checkpoint.format import CONFIG, Checkpoint
from cifar_dist.checkpoint.store import find_checkpoint, load_checkpoint
from cifar_dist.config import Config, load_config
from cifar_dist.errors import ConfigError
from launcher.contract import RankEnv

if TYPE_CHECKING:
    from cifar_dist.runtime.context import DistContext


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint, where it lies, and the recipe it was trained with."""

    path: Path
    checkpoint: Checkpoint
    config: Config


def add_saved_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command take a checkpoint and a device."""
    parser.add_argument(
        "checkpoint", type=Path, help="a run directory (its newest checkpoint) or ckpt/step_*"
    )
    parser.add_argument(
        "--weights",
        choices=["last", "ema"],
        default="last",
        help="those after the last step, or their running average (train.ema_decay)",
    )
    parser.add_argument("--device-target", choices=["Ascend", "CPU", "auto"], default="auto")


def open_saved(path: Path, overrides: Sequence[str] = ()) -> Saved:
    """Find and read a checkpoint and its recipe.

    The checkpoint may come from anybody: only an override lets images be downloaded into a folder
    that its recipe names.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: an override is wrong.
    """
    folder = find_checkpoint(path)
    checkpoint = load_checkpoint(folder)
    asked = ("data.download=null", *overrides)
    return Saved(folder, checkpoint, load_config(folder / CONFIG, asked).config)


def refuse_many_ranks(env: RankEnv, command: str) -> None:
    """Raise ConfigError where a command that runs on one device was started on several."""
    if env.world_size > 1:
        raise ConfigError(
            f"'{command}' runs on one device, but was started on {env.world_size} ranks: "
            f"use 'python -m cifar_dist {command}' or --nproc 1"
        )


def enter_device(env: RankEnv, config: Config, asked: str) -> DistContext:
    """Take the device that the command line or the launcher names, and join the group.

    Args:
        env: what the launcher says.
        config: whose precision the device must have.
        asked: "Ascend", "CPU" or "auto".

    Raises:
        ConfigError: the device cannot compute in the recipe's precision.
    """
    from cifar_dist.runtime.context import check_precision, choose_target, enter

    target = choose_target(env.device_target if asked == "auto" else asked)
    check_precision(config.train, target)
    return enter(env, mode=config.train.mode, device_target=target)
