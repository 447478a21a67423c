"""``cifar_dist schedule``: the learning rate of every step of a recipe, as lines or as a file."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.commands.check import check_recipe
from cifar_dist.commands.write import write_csv, write_file
from cifar_dist.config import Config, find_recipe, load_config
from cifar_dist.data.batches import plan_batches
from cifar_dist.data.shard import steps_per_epoch
from cifar_dist.data.source import count_training_images
from cifar_dist.errors import ConfigError, OutputError
from cifar_dist.observe.console import say
from cifar_dist.schedule import rates_of_run

DESCRIPTION = """Show the learning rate over a recipe's run, without training or reading an image:
one line per epoch, or with --output the rate of every step as a picture (.png, .svg; needs
matplotlib) or a table (.csv)."""
PICTURES = (".png", ".svg")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("schedule", help="show the rates", description=DESCRIPTION)
    parser.add_argument("--config", required=True, metavar="RECIPE", help="a path, or a name")
    parser.add_argument("--world-size", type=int, default=1, help="ranks that share a global batch")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .png, .svg or .csv file")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    output: Path | None = args.output
    if output is not None and output.suffix not in (*PICTURES, ".csv"):
        raise OutputError(f"--output {output}: the name must end in .png, .svg or .csv")
    config = load_config(find_recipe(args.config), args.overrides).config
    check_recipe(config, args.world_size)
    per_epoch, rates = _rates(config, args.world_size)
    if output is None:
        for line in _lines(rates, per_epoch):
            say(line)
        return 0
    if output.suffix == ".csv":
        write_csv(output, ("step", "epoch", "lr"), _rows(rates, per_epoch))
    else:
        title = f"{Path(args.config).stem}: {config.schedule.name}"
        write_file(output, _picture(rates, per_epoch, title, output.suffix[1:]))
    say(f"{len(rates):,} steps -> {output}")
    return 0


def _rates(config: Config, world_size: int) -> tuple[int, NDArray[np.float32]]:
    """Return the steps of an epoch, and the rate of each step that is trained."""
    plan = plan_batches(config, rank=0, world_size=world_size)
    images = count_training_images(config.data)
    per_epoch = steps_per_epoch(images, plan.global_batch_size)
    if per_epoch == 0:
        raise ConfigError(
            f"a global batch of {plan.global_batch_size:,} images is more than the {images:,} "
            "training images: give a smaller data.global_batch_size"
        )
    rates = rates_of_run(
        config, steps_per_epoch=per_epoch, global_batch_size=plan.global_batch_size
    )
    return per_epoch, rates[: config.train.max_steps]


def _rows(rates: NDArray[np.float32], per_epoch: int) -> list[tuple[int, int, str]]:
    return [(step + 1, step // per_epoch + 1, f"{rate:.9g}") for step, rate in enumerate(rates)]


def _lines(rates: NDArray[np.float32], per_epoch: int) -> list[str]:
    """Return a line per epoch: its first, its largest and its last rate."""
    starts = range(0, len(rates), per_epoch)
    epochs = [rates[start : start + per_epoch] for start in starts]
    peak = float(rates.max()) or 1.0
    return [
        f"{'epoch':>5} {'first':>12} {'largest':>12} {'last':>12}",
        *(
            f"{number:>5} {one[0]:>12.6g} {one.max():>12.6g} {one[-1]:>12.6g}  "
            + "#" * round(40 * float(one.mean()) / peak)
            for number, one in enumerate(epochs, start=1)
        ),
    ]


def _picture(rates: NDArray[np.float32], per_epoch: int, title: str, form: str) -> bytes:
    """Draw the rates over the epochs.

    Raises:
        OutputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OutputError(
            "a picture needs matplotlib: pip install 'cifar-dist[viz]', or name a .csv file"
        ) from None
    figure: Any = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(np.arange(1, len(rates) + 1) / per_epoch, rates)
    axes.set(title=title, xlabel="epoch", ylabel="learning rate")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format=form, dpi=150)
    return data.getvalue()
