"""``cifar_dist models``: the table and the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cifar_dist.cli import main
from cifar_dist.commands.models import ModelRow, expected_of, model_lines, shipped_recipes
from cifar_dist.config.load import RECIPES


def test_each_network_has_its_cost_and_its_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "*resnet20"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["name", "parameters", "multiply-adds"]
    assert lines[0].split()[:5] == [
        "resnet20",
        "269,722",
        "40,551,040",
        "3x32x32",
        "quickstart.yaml",
    ]
    assert {line.split()[0] for line in lines if line[0] != " "} == {"resnet20", "seresnet20"}


def test_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "lenet5", "--json", "--num-classes", "100"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "lenet5"
    assert row["parameters"] == 62_006 + 90 * 85
    assert row["multiply_adds"] > 600_000
    assert "lenet5.yaml" in row["recipes"]
    assert len(row["recipes"]) == len(row["expected"])


def test_a_pattern_that_fits_none_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "alexnet"]) == 2
    text = capsys.readouterr().err
    assert "no model is called like 'alexnet'" in text
    assert "lenet5" in text


def test_every_recipe_that_ships_is_found() -> None:
    recipes = list(shipped_recipes())
    assert [recipe.file for recipe in recipes] == sorted(
        path.name for path in RECIPES.glob("*.yaml")
    )
    assert all(recipe.expected for recipe in recipes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A.\n# Expected: over 0.90 on its set.\n#   command\nmodel:\n", "over 0.90 on its set"),
        ("# Expected: 0.93 in runs\n# of this kind; not here.\n", "0.93 in runs of this kind"),
        ("# Expected: about 0.58 (measured: see README)\n", "about 0.58"),
        ("# Nothing said\nmodel:\n  name: Expected: no\n", ""),
        ("model:\n", ""),
    ],
)
def test_what_a_header_says_to_expect_is_its_first_sentence(text: str, expected: str) -> None:
    assert expected_of(text) == expected


def test_recipes_beyond_the_first_have_lines_of_their_own() -> None:
    row = ModelRow("net", 1000, 2000, (3, 32, 32), 10, ["a.yaml", "b.yaml"], ["0.9", ""])
    bare = ModelRow("other", 1, 2, (3, 32, 32), 10, [], [])
    lines = list(model_lines([row, bare]))
    assert lines[1].split() == ["net", "1,000", "2,000", "3x32x32", "a.yaml", "0.9"]
    assert lines[2].split() == ["b.yaml"]
    assert lines[3].split()[-1] == "-"


def test_a_folder_of_recipes_is_read(tmp_path: Path) -> None:
    text = (RECIPES / "lenet5.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text)
    (recipe,) = shipped_recipes(tmp_path)
    assert (recipe.file, recipe.model) == ("mine.yaml", "lenet5")
