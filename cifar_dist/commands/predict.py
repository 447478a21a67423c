"""``cifar_dist predict``: what a saved network makes of any pictures."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_dist.commands.saved import (
    Saved,
    add_saved_arguments,
    enter_device,
    open_saved,
    refuse_many_ranks,
)
from cifar_dist.commands.write import write_csv, write_file
from cifar_dist.observe.console import say
from cifar_dist.predict.classes import class_names, record_layout
from cifar_dist.predict.files import find_inputs
from launcher.contract import RankEnv

if TYPE_CHECKING:
    from cifar_dist.predict.predictions import Prediction

DESCRIPTION = """Predict the classes of CIFAR files (.bin), PNG and JPEG files, and folders of them.
Writes predictions.csv and predictions.png. The truth is known for CIFAR files, and for pictures in
a folder that is named after a class. Pictures of another size are cut to a square and scaled."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("predict", help="classify pictures", description=DESCRIPTION)
    add_saved_arguments(parser)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("predictions"),
        metavar="FOLDER",
        help="of predictions.csv and predictions.png (default: predictions)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    env = RankEnv.from_environ(os.environ)
    refuse_many_ranks(env, "predict")
    saved = open_saved(args.checkpoint)
    classes = class_names(saved.config)

    from cifar_dist.predict.inputs import read_inputs
    from cifar_dist.predict.predictions import predictions_of

    layout = record_layout(saved.config.data)
    inputs = read_inputs(find_inputs(args.paths), classes, layout)
    enter_device(env, saved.config, args.device_target)
    found = _probabilities(saved, inputs.images_nchw, args.weights)
    _write(args.output, inputs.images_nchw, predictions_of(found, inputs.sources, classes))
    return 0


def _probabilities(
    saved: Saved, images_nchw: NDArray[np.uint8], weights: str
) -> NDArray[np.float64]:
    from cifar_dist.engine.inference import InferenceStep, probabilities, restored_network

    config = saved.config
    network = restored_network(config, saved.checkpoint, origin=str(saved.path), weights=weights)
    return probabilities(InferenceStep(network), images_nchw, batch_size=config.eval.batch_size)


def _write(folder: Path, images_nchw: NDArray[np.uint8], predictions: Sequence[Prediction]) -> None:
    """Write predictions.csv and predictions.png into the folder, and print the first ones."""
    from cifar_dist.predict.grid import MOST_TILES, picture_grid
    from cifar_dist.predict.predictions import COLUMNS, prediction_table

    table, grid = folder / "predictions.csv", folder / "predictions.png"
    write_csv(table, COLUMNS, (one.row() for one in predictions))
    write_file(grid, picture_grid(images_nchw, predictions))
    say(prediction_table(predictions))
    shown = f", the first {MOST_TILES} of them" if len(predictions) > MOST_TILES else ""
    say(f"wrote {table} ({len(predictions):,} images) and {grid}{shown}")
