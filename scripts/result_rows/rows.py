"""The rows of docs/results: what is trained, how often, and what it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Program = Literal["launcher", "model_train"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: its folder under docs/results, and the argument of scripts/results.
        what: the network, in words.
        recipe: a shipped one, without its ending.
        overrides: of the recipe, for this machine; never an epoch or a rate chosen on test images.
        nproc: ranks.
        seeds: a run for each.
        program: who trains: this project, or a script around ``Model.train``.
        against: an aim, or a published number and its source.
    """

    name: str
    what: str
    recipe: str
    overrides: tuple[str, ...] = ()
    nproc: int = 1
    seeds: tuple[int, ...] = (0,)
    program: Program = "launcher"
    against: str = ""


_LENET = ("lenet5_long", ("monitor.log_interval=390",))

ROWS: tuple[Row, ...] = (
    Row("lenet5", "LeNet-5", *_LENET, seeds=(0, 1, 2), against="aim 0.72"),
    Row("lenet5_2_ranks", "LeNet-5", *_LENET, nproc=2, against="LeNet-5 on 1 rank"),
    Row(
        "model_train",
        "LeNet-5 by `Model.train`",
        *_LENET,
        program="model_train",
        against="LeNet-5 on 1 rank",
    ),
    Row(
        "resnet20",
        "ResNet-20",
        "resnet20_one_cycle",
        ("monitor.log_interval=130",),
        nproc=2,
        against="aim 0.87",
    ),
    Row(
        "seresnet20",
        "SE-ResNet-20",
        "seresnet20_one_cycle",
        ("monitor.log_interval=130",),
        nproc=2,
        against="ResNet-20, row above",
    ),
    Row(
        "vgg_a_bn_eighth",
        "VGG A with batch norm, an eighth of its width, O2",
        "vgg_a_bn",
        ("model.width=0.125", "train.epochs=30", "monitor.log_interval=130"),
        nproc=2,
    ),
    Row(
        "speed94",
        "speed94, float32",
        "speed94",
        ("train.amp=O0",),
        nproc=2,
        against="0.9401 with 6 views, mean of 1000 runs (KellerJordan/cifar10-airbench)",
    ),
)

LONG = (
    "resnet18",
    "resnet18_augmented",
    "resnet20",
    "seresnet20",
    "resnet50",
    "seresnet50",
    "resnet56",
    "resnet56_large_batch",
    "resnet110",
    "vgg_a_bn",
    "vgg_d_bn",
    "inception",
    "seinception",
)
"""Recipes for accelerators: their headers say what was published."""


def find_row(name: str) -> Row | None:
    """Return a row by its name."""
    return next((row for row in ROWS if row.name == name), None)
