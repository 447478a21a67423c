"""The recipes that ship: what their headers promise, and that they fit their models and ranks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cifar_dist.commands.check import check_recipe
from cifar_dist.config import load_config
from cifar_dist.config.load import RECIPES
from cifar_dist.models.registry import find_model, list_models

SHIPPED = sorted(RECIPES.glob("*.yaml"))


def header(path: Path) -> str:
    lines = path.read_text().splitlines()
    count = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line[1:].strip() for line in lines[:count])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_header_says_what_to_expect_how_long_where_and_how(path: Path) -> None:
    text = header(path)
    for entry in ("Expected: ", "Time: ", "Hardware: "):
        assert f"\n{entry}" in text, f"{path.name} has no line '{entry}...'"
    expected = text.partition("Expected: ")[2].partition("\nTime: ")[0]
    assert re.search(r"not\s+measured|measured|synthetic", expected)
    command = text.splitlines()[-1]
    assert re.fullmatch(
        rf"python -m launcher --nproc \d --config {path.name}( data\.dir=PATH)?", command
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_recipe_fits_its_model_and_1_to_8_ranks(path: Path) -> None:
    config = load_config(path).config
    assert config.data.global_batch_size is not None
    for world_size in (1, 2, 4, 8):
        check_recipe(config, world_size)


def test_every_family_has_a_recipe() -> None:
    used = {find_model(load_config(path).config.model.name).family.module for path in SHIPPED}
    assert used == {find_model(name).family.module for name in list_models()}
    names = {path.stem for path in SHIPPED}
    assert {"vgg_a_bn", "vgg_d_bn", "resnet20", "resnet56", "resnet110", "seresnet20"} <= names
    assert {"inception", "seinception", "resnet18", "resnet50", "seresnet50", "lenet5"} <= names
