"""What ``evaluate --decision`` accepts, finds and writes."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.commands.decide import Wish, add_wish_arguments, decide, wish_of
from cifar_dist.data.dataset import Dataset
from cifar_dist.errors import CifarDistError, NotComputableError, OutputError

IMAGES = Dataset(
    np.zeros((4, 3, 32, 32), dtype=np.uint8),
    np.array([0, 0, 1, 1], dtype=np.int32),
    ("cat", "dog", "frog"),
    "nowhere",
)
SCORES = np.array([0.9, 0.4, 0.5, 0.1])


def asked(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_wish_arguments(parser)
    return parser.parse_args(arguments)


def test_nothing_asked_is_no_wish() -> None:
    assert wish_of(asked(), IMAGES) is None


def test_a_wish_is_a_class_and_a_recall_or_a_precision() -> None:
    assert wish_of(asked("--decision", "dog", "--recall", "1"), IMAGES) == Wish(
        "dog", 1, "recall", 1.0
    )
    wish = wish_of(asked("--decision", "cat", "--precision", "0.9"), IMAGES)
    assert wish == Wish("cat", 0, "precision", 0.9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--decision", "cat"], "belong together"),
        (["--recall", "0.5"], "belong together"),
        (["--decision", "dogg", "--recall", "0.5"], "did you mean 'dog'"),
        (["--decision", "frog", "--recall", "0.5"], "none of the 4 images is of class 'frog'"),
    ],
)
def test_half_a_wish_no_class_and_an_empty_class_are_refused(
    arguments: list[str], words: str
) -> None:
    with pytest.raises(CifarDistError, match=words):
        wish_of(asked(*arguments), IMAGES)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "nan", "much"])
def test_a_wish_out_of_range_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        asked("--decision", "cat", "--recall", value)
    assert value in capsys.readouterr().err


def test_the_threshold_is_found_and_the_curve_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = decide(Wish("cat", 0, "recall", 1.0), SCORES, IMAGES.labels, tmp_path)
    assert found["threshold"] == 0.4
    assert found["recall"] == 1.0
    assert found["precision"] == pytest.approx(2 / 3)
    rows = list(csv.DictReader((tmp_path / "decision_cat.csv").open()))
    assert [float(row["threshold"]) for row in rows] == [0.1, 0.4, 0.5, 0.9]
    assert [float(row["recall"]) for row in rows] == [1.0, 1.0, 0.5, 0.5]
    assert "recall of at least 1 for cat" in capsys.readouterr().out


def test_the_curve_of_a_wish_that_nothing_fulfils_is_written_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(NotComputableError, match=r"the best is 0\.5"):
        decide(Wish("dog", 1, "precision", 0.99), SCORES, IMAGES.labels, tmp_path)
    assert (tmp_path / "decision_dog.csv").exists()


def test_a_curve_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        decide(Wish("cat", 0, "recall", 1.0), SCORES, IMAGES.labels, tmp_path / "file")
