from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.cli import main
from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.source import count_training_images, open_dataset
from cifar_dist.schedule import learning_rates

SMALL = ["data.source=synthetic", "data.synthetic_train_images=640", "data.global_batch_size=64"]


def call(*words: str | Path) -> int:
    return main(["schedule", "--config", "lenet5.yaml", *map(str, words), *SMALL])


def test_the_table_has_the_rate_of_every_step_that_is_trained(tmp_path: Path) -> None:
    table = tmp_path / "lr.csv"
    assert call("--output", table, "train.epochs=3", "train.max_steps=25") == 0
    rows = list(csv.DictReader(table.open()))
    config = load_config(find_recipe("lenet5.yaml"), [*SMALL, "train.epochs=3"]).config
    wanted = learning_rates(config.optimizer, config.schedule, epochs=3, steps_per_epoch=10)
    assert [int(row["step"]) for row in rows] == list(range(1, 26))
    assert [int(row["epoch"]) for row in rows] == [1] * 10 + [2] * 10 + [3] * 5
    np.testing.assert_array_equal(np.float32([row["lr"] for row in rows]), wanted[:25])


def test_the_lines_are_one_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train.epochs=4", "schedule.name=constant", "schedule.warmup_epochs=0") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["epoch", "first", "largest", "last"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert len({tuple(line.split()[1:]) for line in lines}) == 1


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture_is_drawn(tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"lr.{suffix}"
    assert call("--output", picture) == 0
    if suffix == "svg":
        assert "<svg" in picture.read_text()
    else:
        with Image.open(picture) as image:
            assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 3


def test_a_missing_matplotlib_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert call("--output", tmp_path / "lr.png") != 0
    assert "pip install 'cifar-dist[viz]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--output", "lr.txt"), "must end in .png, .svg or .csv"),
        (("data.max_train_images=10",), "more than the 10 training images"),
        (("--world-size", "3"), "64"),
    ],
)
def test_what_cannot_be_is_one_message(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) != 0
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "overrides",
    [(), ("data.validation_images=100",), ("data.max_train_images=77",)],
)
def test_images_are_counted_as_they_will_be_opened(overrides: tuple[str, ...]) -> None:
    data = load_config(find_recipe("lenet5.yaml"), [*SMALL, *overrides]).config.data
    assert count_training_images(data) == len(open_dataset(data, "train"))


def test_real_images_are_counted_without_their_files() -> None:
    data = load_config(find_recipe("lenet5.yaml"), ["data.dir=/nowhere"]).config.data
    assert count_training_images(data) == 50_000
