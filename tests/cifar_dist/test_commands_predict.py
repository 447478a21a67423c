"""``cifar_dist predict``: a checkpoint and pictures in, a table and a grid out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.cli import main
from cifar_dist.data.synthetic import CLASSES, synthetic_dataset

IMAGES = synthetic_dataset("test", 40)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A CIFAR file of 38 images, and two pictures in folders: of a class, and of none."""
    folder = tmp_path / "in"
    for name in (CLASSES[8], "unsorted"):
        (folder / name).mkdir(parents=True)
    rows = np.zeros((38, 3073), dtype=np.uint8)
    rows[:, 0] = IMAGES.labels[:38]
    rows[:, 1:] = IMAGES.images_nchw[:38].reshape(38, -1)
    (folder / "a.bin").write_bytes(rows.tobytes())
    for number, name in ((38, CLASSES[8]), (39, "unsorted")):
        picture = Image.fromarray(IMAGES.images_nchw[number].transpose(1, 2, 0))
        picture.save(folder / name / "one.png")
    return folder


def test_pictures_of_every_kind_become_a_table_and_a_grid(
    saved_run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["predict", str(saved_run), str(pictures), "--output", str(output)]) == 0
    rows = list(csv.DictReader((output / "predictions.csv").open()))
    assert len(rows) == 40
    assert [row["record"] for row in rows[:2]] == ["0", "1"]
    assert [row["truth"] for row in rows] == [*(CLASSES[n % 10] for n in range(39)), ""]
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)
    assert Image.open(output / "predictions.png").size[0] > 500
    printed = capsys.readouterr().out
    assert "of 39 whose truth is known" in printed
    assert str(output / "predictions.csv") in printed


def test_predict_and_evaluate_agree(saved_run: Path, pictures: Path, tmp_path: Path) -> None:
    import json

    output, report = tmp_path / "out", tmp_path / "report.json"
    file = str(pictures / "a.bin")
    assert main(["predict", str(saved_run), file, "--output", str(output)]) == 0
    limit = "data.max_test_images=38"
    assert main(["evaluate", str(saved_run), "--json", str(report), limit]) == 0
    rows = list(csv.DictReader((output / "predictions.csv").open()))
    right = sum(row["label"] == row["truth"] for row in rows)
    assert right == sum(np.diagonal(json.loads(report.read_text())["confusion_matrix"]))


def test_a_picture_alone_fills_no_batch(saved_run: Path, pictures: Path, tmp_path: Path) -> None:
    file = pictures / "unsorted" / "one.png"
    assert main(["predict", str(saved_run), str(file), "--output", str(tmp_path / "out")]) == 0
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 2


def test_a_picture_that_is_none_is_one_message(
    saved_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "b.png").write_bytes(b"")
    assert main(["predict", str(saved_run), str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert text.count("a.png") == text.count("b.png") == 1
    assert "Traceback" not in text


def test_an_output_folder_that_cannot_be_is_one_message(
    saved_run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    arguments = ["predict", str(saved_run), str(pictures), "--output", str(tmp_path / "file")]
    assert main(arguments) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "x.png"], ["export"]])
def test_what_runs_on_one_device_is_refused_on_two_ranks(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK_ID", "0")
    monkeypatch.setenv("RANK_SIZE", "2")
    assert main([command[0], "nowhere", *command[1:]]) == 2
    assert "runs on one device" in capsys.readouterr().err
