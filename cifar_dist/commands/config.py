"""``cifar_dist config``: the resolved recipe, and the launcher's check before anything starts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cifar_dist.checkpoint.choose import NONE
from cifar_dist.commands.check import check_profile, check_recipe, check_resume
from cifar_dist.config import (
    Recipe,
    batch_size_per_rank,
    dump_config,
    find_recipe,
    load_config,
)
from cifar_dist.data.source import count_training_images, open_dataset, prepare
from cifar_dist.errors import ConfigError
from cifar_dist.observe.console import say
from cifar_dist.versions import installed_versions
from launcher.contract import write_atomic

DESCRIPTION = "Print a recipe with every default filled in: feeding it back gives the same run."


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("config", help="show a resolved recipe", description=DESCRIPTION)
    parser.add_argument("--config", required=True, metavar="RECIPE", help="a path, or a name")
    parser.add_argument("--check", action="store_true", help="check the data files too")
    parser.add_argument("--world-size", type=int, default=1, help="ranks that share a global batch")
    parser.add_argument(
        "--resume", default=NONE, metavar="auto|PATH|none", help="check the checkpoint too"
    )
    parser.add_argument("--run-dir", type=Path, default=Path(), help="where 'auto' looks for it")
    parser.add_argument("--output", type=Path, help="write the recipe there instead of printing it")
    parser.add_argument(
        "--json", action="store_true", help="print recipe, versions and seed as JSON"
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    recipe = load_config(find_recipe(args.config), args.overrides)
    check_recipe(recipe.config, args.world_size)
    check_resume(recipe.config, args.world_size, asked=args.resume, folder=args.run_dir)
    if args.check:
        prepare(recipe.config.data)
    if recipe.config.monitor.profile_steps is not None:
        data, is_there = recipe.config.data, args.check
        images = len(open_dataset(data, "train")) if is_there else count_training_images(data)
        check_profile(recipe.config, args.world_size, num_images=images)
    resolved = dump_config(recipe.config)
    if args.output is not None:
        try:
            write_atomic(args.output, resolved)
        except OSError as error:
            raise ConfigError(f"{args.output} cannot be written: {error.strerror}") from error
    if args.json:
        say(json.dumps(_summary(recipe, args.world_size)))
    elif args.output is None:
        say(resolved.rstrip("\n"))
    return 0


def _summary(recipe: Recipe, world_size: int) -> dict[str, object]:
    return {
        "recipe": recipe.config.model_dump(mode="json"),
        "versions": installed_versions(),
        "seed": recipe.config.train.seed,
        "batch_size_per_rank": batch_size_per_rank(recipe.config.data, world_size),
    }
