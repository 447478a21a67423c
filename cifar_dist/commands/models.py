"""``cifar_dist models``: which networks there are, what they cost, and which recipe trains them."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cifar_dist.config import load_config
from cifar_dist.config.load import RECIPES
from cifar_dist.errors import ModelError
from cifar_dist.models.registry import list_models
from cifar_dist.observe.console import say
from launcher.contract import RankEnv

DESCRIPTION = """List the networks: parameters that are trained, multiply-adds of convolutions and
dense layers for one image, the recipes that ship. They are counted as they are listed, with the
stem for 32 x 32 images and every option as it is by default; a pattern makes it quicker."""
IMAGE_PX = 32
COLUMNS = ("name", "parameters", "multiply-adds", "input", "recipe", "expected accuracy")


@dataclass(frozen=True)
class ShippedRecipe:
    """A recipe that ships: its file, the network it trains, and what its header says to expect."""

    file: str
    model: str
    expected: str


@dataclass(frozen=True)
class ModelRow:
    """One network; ``multiply_adds`` are for one image of ``input`` [C, H, W]."""

    name: str
    parameters: int
    multiply_adds: int
    input: tuple[int, int, int]
    num_classes: int
    recipes: list[str]
    expected: list[str]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "models", help="list the networks and what they cost", description=DESCRIPTION
    )
    parser.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'seresnet*'"
    )
    parser.add_argument("--num-classes", type=int, default=10, metavar="N", help="outputs (10)")
    parser.add_argument("--json", action="store_true", help="print one array of objects")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    names = list_models(args.pattern)
    if not names:
        raise ModelError(
            f"no model is called like {args.pattern!r}; there are {', '.join(list_models())}"
        )
    rows = count_models(names, args.num_classes)
    if args.json:
        say(json.dumps([asdict(row) for row in rows], indent=1))
        return 0
    for line in model_lines(rows):
        say(line)
    return 0


def count_models(names: Sequence[str], num_classes: int = 10) -> Iterator[ModelRow]:
    """Yield what each network costs, as soon as it was counted."""
    recipes = list(shipped_recipes())

    from cifar_dist.runtime.context import enter

    enter(RankEnv(), mode="pynative", device_target="CPU")  # counting is not worth an NPU
    for name in names:
        yield _row(name, num_classes, recipes)


def shipped_recipes(folder: Path = RECIPES) -> Iterator[ShippedRecipe]:
    """Yield the recipes of a folder, sorted by their names."""
    for path in sorted(folder.glob("*.yaml")):
        model = load_config(path).config.model.name
        yield ShippedRecipe(path.name, model, expected_of(path.read_text()))


def expected_of(recipe_yaml: str) -> str:
    """Return the first sentence of what a recipe's header says to expect; "" where it does not.

    Args:
        recipe_yaml: begins with comment lines, one of which begins with "Expected:".
    """
    head = re.match(r"(?:#[^\n]*\n)*", recipe_yaml)
    text = " ".join(line.lstrip("# ").rstrip() for line in head[0].splitlines()) if head else ""
    found = re.search(r"Expected: (.+?)(?=;|\.\s|\.$|: | \(|$)", text)
    return found[1] if found else ""


def _row(name: str, num_classes: int, recipes: Sequence[ShippedRecipe]) -> ModelRow:
    from cifar_dist.models import create_model
    from cifar_dist.models.cost import multiply_adds, parameter_count

    network = create_model(name, num_classes, seed=None)
    own = [recipe for recipe in recipes if recipe.model == name]
    return ModelRow(
        name=name,
        parameters=parameter_count(network),
        multiply_adds=multiply_adds(network, image_px=IMAGE_PX),
        input=(3, IMAGE_PX, IMAGE_PX),
        num_classes=num_classes,
        recipes=[recipe.file for recipe in own],
        expected=[recipe.expected for recipe in own],
    )


def model_lines(rows: Iterable[ModelRow]) -> Iterator[str]:
    """Yield a header, and a line for each network and recipe as soon as they were counted."""
    layout = "{:<14}  {:>11}  {:>14}  {:<8}  {:<27}  {}"
    yield layout.format(*COLUMNS)
    for row in rows:
        costs = (f"{row.parameters:,}", f"{row.multiply_adds:,}")
        first = (row.name, *costs, "x".join(str(size) for size in row.input))
        recipes = list(zip(row.recipes, row.expected, strict=True)) or [("-", "")]
        for number, recipe in enumerate(recipes):
            left = first if number == 0 else ("",) * len(first)
            yield layout.format(*left, *recipe).rstrip()
