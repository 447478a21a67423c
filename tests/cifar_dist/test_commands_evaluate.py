"""``cifar_dist evaluate`` on one device; several ranks: tests/e2e."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from cifar_dist.cli import main
from cifar_dist.commands import evaluate as evaluate_command
from cifar_dist.data.synthetic import CLASSES, synthetic_dataset


def evaluate(run_dir: Path, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    path = tmp_path / "report" / "evaluation.json"
    assert main(["evaluate", str(run_dir), "--json", str(path), *arguments]) == 0
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def pairs(matrix: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Undo a confusion matrix: any images that it counts."""
    truth, guess = np.indices(np.shape(matrix)).reshape(2, -1)
    times = np.ravel(matrix)
    return truth.repeat(times), guess.repeat(times)


def test_the_report_holds_all_numbers_of_every_image(
    saved_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = evaluate(saved_run, tmp_path, "--beta", "2")
    assert values["count"] == 130
    assert (values["step"], values["epoch"], values["split"]) == (7, 1, "test")
    truth, guess = pairs(values["confusion_matrix"])
    score = oracle.fbeta_score(truth, guess, beta=2, average="macro", zero_division=0)
    assert values["averages"]["macro"]["f_beta"] == pytest.approx(score, rel=0, abs=1e-12)
    assert values["nll"] == pytest.approx(values["loss"], abs=1e-5)
    assert 0 <= values["ece"] <= 1
    assert [row["name"] for row in values["per_class"]] == list(CLASSES)
    printed = capsys.readouterr().out
    assert "F-2" in printed
    assert "balanced accuracy" in printed


def test_a_threshold_reaches_the_recall_that_was_wanted(saved_run: Path, tmp_path: Path) -> None:
    arguments = ("--decision", "fine rings", "--recall", "0.9")
    decision = evaluate(saved_run, tmp_path, *arguments)["decision"]
    assert decision["class"] == "fine rings"
    assert decision["recall"] >= 0.9
    path = tmp_path / "report" / "decision_fine_rings.csv"
    assert decision["curve"] == str(path)
    rows = list(csv.DictReader(path.open()))
    assert {
        "threshold": str(decision["threshold"]),
        "precision": str(decision["precision"]),
        "recall": str(decision["recall"]),
    } in rows


def test_a_wish_that_nothing_fulfils_takes_no_number_away(
    saved_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    wish = ["--decision", "fine plaid", "--precision", "1"]
    assert main(["evaluate", str(saved_run), "--json", str(path), *wish]) == 1
    assert "no threshold has a precision of 1: the best is" in capsys.readouterr().err
    assert json.loads(path.read_text())["count"] == 130


def test_batches_of_another_size_give_the_same_counts(saved_run: Path, tmp_path: Path) -> None:
    whole, parts = (evaluate(saved_run, tmp_path, f"eval.batch_size={size}") for size in (130, 17))
    assert whole["confusion_matrix"] == parts["confusion_matrix"]
    assert whole["nll"] == pytest.approx(parts["nll"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--decision", "cat", "--recall", "0.9"], "no class 'cat'"),
        (["--decision", "fine rows"], "belong together"),
        (["--split", "validation"], "holds out no images"),
        (["--weights", "ema"], "no running average"),
        (["model.name=vgg_a"], "it is of another model or recipe"),
        (["--json", "/proc/nothing/report.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_message(
    saved_run: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(saved_run), *arguments]) == 2
    text = capsys.readouterr().err
    assert text.count(words) == 1
    assert "Traceback" not in text


def test_the_images_held_out_can_be_evaluated(saved_run: Path, tmp_path: Path) -> None:
    held_out = ("data.synthetic_train_images=200", "data.validation_images=60")
    assert evaluate(saved_run, tmp_path, "--split", "validation", *held_out)["count"] == 60


def test_more_images_than_can_be_counted_exactly_are_refused(
    saved_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_command, "MAX_IMAGES", 129)
    assert main(["evaluate", str(saved_run)]) == 2
    assert "use at most 129 (data.max_test_images)" in capsys.readouterr().err


def test_an_empty_class_is_one_message(saved_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = "data.max_test_images=5"
    assert main(["evaluate", str(saved_run), "--decision", CLASSES[9], "--recall", "1", few]) == 1
    assert f"none of the 5 images is of class '{CLASSES[9]}'" in capsys.readouterr().err
    assert 9 not in synthetic_dataset("test", 5).labels


@pytest.mark.parametrize("beta", ["0", "-1", "nan", "inf", "much"])
def test_a_beta_that_is_not_above_zero_is_refused(
    saved_run: Path, beta: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", str(saved_run), f"--beta={beta}"])
    assert (
        f"argument --beta: must be a{'' if beta == 'much' else 'bove'}" in capsys.readouterr().err
    )
