"""``evaluate --decision``: where to draw the line for one class, and the curve it lies on."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.commands.write import write_csv
from cifar_dist.data.dataset import Dataset
from cifar_dist.errors import ConfigError, NotComputableError
from cifar_dist.metrics.decision import (
    precision_recall_curve,
    threshold_for_precision,
    threshold_for_recall,
)
from cifar_dist.observe.console import say
from cifar_dist.observe.report_table import decision_line


@dataclass(frozen=True)
class Wish:
    """A class, and the recall or precision that is wanted for it."""

    name: str
    index: int
    kind: str
    wanted: float


def add_wish_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command ask for the threshold of a class."""
    parser.add_argument(
        "--decision",
        metavar="CLASS",
        help="its threshold for --recall (rather a false alarm) or --precision (a miss)",
    )
    wishes = parser.add_mutually_exclusive_group()
    wishes.add_argument("--recall", type=share, help="at least this, above 0 and up to 1")
    wishes.add_argument("--precision", type=share, help="at least this, above 0 and up to 1")


def factor(text: str) -> float:
    """Return a finite number above 0, for argparse."""
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be above 0 and finite, not {text}")
    return value


def share(text: str) -> float:
    """Return a number above 0 and up to 1, for argparse."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and up to 1, not {text}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


def wish_of(args: argparse.Namespace, images: Dataset) -> Wish | None:
    """Return what was asked for; None where nothing was.

    Raises:
        ConfigError: half of it is missing, or there is no such class.
        NotComputableError: the class has no image, so that recall has no value.
    """
    asked = {"recall": args.recall, "precision": args.precision}
    given = [(kind, wanted) for kind, wanted in asked.items() if wanted is not None]
    if args.decision is None and not given:
        return None
    if args.decision is None or not given:
        raise ConfigError(
            "--decision CLASS and one of --recall and --precision belong together: "
            "such as --decision cat --recall 0.95"
        )
    if args.decision not in images.classes:
        near = difflib.get_close_matches(args.decision, images.classes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(images.classes)}"
        raise ConfigError(f"--decision: there is no class {args.decision!r}; {hint}")
    index = images.classes.index(args.decision)
    if not (images.labels == index).any():
        raise NotComputableError(
            f"--decision: none of the {len(images):,} images is of class {args.decision!r}: "
            "its recall has no value"
        )
    return Wish(args.decision, index, *given[0])


def decide(
    wish: Wish, scores: NDArray[np.float64], labels: NDArray[np.int32], folder: Path
) -> dict[str, Any]:
    """Find the threshold, print it, and write the curve as CSV into the folder.

    Args:
        wish: what is wanted.
        scores: float64[N], the probability of the class for each image.
        labels: int32[N].
        folder: of decision_CLASS.csv: threshold, precision, recall, the lowest threshold first.

    Returns:
        what the report says about it.

    Raises:
        NotComputableError: no threshold reaches the precision, or a probability is no number.
        OutputError: the curve cannot be written.
    """
    curve = precision_recall_curve(scores, labels == wish.index)
    path = folder / f"decision_{re.sub('[^A-Za-z0-9-]+', '_', wish.name)}.csv"
    rows = zip(
        curve.thresholds.tolist(), curve.precision.tolist(), curve.recall.tolist(), strict=True
    )
    write_csv(path, ("threshold", "precision", "recall"), rows)
    choose = threshold_for_recall if wish.kind == "recall" else threshold_for_precision
    found = choose(curve, wish.wanted)
    say(f"\n{decision_line(wish.name, wish.kind, wish.wanted, found)}")
    say(f"its curve of {len(curve.thresholds):,} thresholds: {path}")
    chosen = {"threshold": found.value, "precision": found.precision, "recall": found.recall}
    return {"class": wish.name, "wanted": {wish.kind: wish.wanted}, **chosen, "curve": str(path)}
