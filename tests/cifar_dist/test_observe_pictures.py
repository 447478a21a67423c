"""Pictures for TensorBoard: what they show is where it belongs."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.data.batches import EvalBatch
from cifar_dist.engine.answers import MOST_SHOWN, SurestAnswers, draw_answers
from cifar_dist.metrics.score_bins import ScoreBins
from cifar_dist.observe.opening import picture
from cifar_dist.observe.pictures import MOST_TILES, confusion_picture, contact_sheet
from cifar_dist.observe.records import EvalRecord, Seen
from cifar_dist.observe.report_pictures import ReportPictures


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_a_matrix_is_dark_where_its_counts_are() -> None:
    pixels = opened(confusion_picture([[9, 0], [0, 9]], ["cat", "dog"]))
    height, width, _ = pixels.shape
    first, second = height - 8 - 66 - 15, height - 8 - 22 - 15
    left, right = width - 8 - 66 - 15, width - 8 - 22 - 15
    assert tuple(pixels[first, left]) == tuple(pixels[second, right]) != (255, 255, 255)
    assert tuple(pixels[first, right]) == tuple(pixels[second, left]) == (255, 255, 255)


def test_names_and_counts_are_written() -> None:
    blank = opened(confusion_picture([[1, 0], [0, 1]], ["", ""]))
    named = opened(confusion_picture([[1, 0], [0, 1]], ["a cat", "a dog"]))
    assert named.shape[0] > blank.shape[0]
    assert (named[:, :30] < 100).any()


@pytest.mark.parametrize("classes", [1, 10, 100, 700])
def test_a_matrix_of_any_size_is_drawn(classes: int) -> None:
    matrix = np.eye(classes, dtype=int).tolist()
    pixels = opened(confusion_picture(matrix, [f"class {n}" for n in range(classes)]))
    assert 40 < len(pixels) < 1100
    assert (pixels.max(axis=2) - pixels.min(axis=2) > 60).any()


def test_an_empty_row_has_no_share() -> None:
    assert opened(confusion_picture([[0, 0], [1, 1]], ["a", "b"])).size


@pytest.mark.parametrize("number", [1, 7, 8, 9, 200])
def test_images_lie_side_by_side_in_their_order(number: int) -> None:
    images = np.zeros((number, 3, 32, 32), dtype=np.uint8)
    images[:, 0] = np.arange(number, dtype=np.uint8)[:, None, None]
    pixels = opened(contact_sheet(images))
    for place in range(min(number, MOST_TILES)):
        row, column = divmod(place, 8)
        corner = pixels[4 + row * 68, 4 + column * 68]
        assert tuple(corner) == (place, 0, 0)


def batch(*labels: int) -> EvalBatch:
    images = np.zeros((len(labels), 3, 32, 32), dtype=np.uint8)
    images[:, 0] = np.arange(len(labels), dtype=np.uint8)[:, None, None]
    return EvalBatch(images, np.array(labels, dtype=np.int32), np.ones(len(labels), dtype=bool))


def test_the_surest_answers_come_first_and_right_and_wrong_are_apart() -> None:
    logits = np.array([[5, 0], [0, 1], [3, 0], [0, 9], [2, 0]], dtype=np.float32)
    found = SurestAnswers().plus(batch(1, 0, 0, 0, 0), logits)
    assert [int(one.image[0, 0, 0]) for one in found.wrong] == [3, 0, 1]
    assert [(one.predicted, one.truth) for one in found.wrong] == [(1, 0), (0, 1), (1, 0)]
    assert found.wrong[0].probability == pytest.approx(1 / (1 + np.exp(-9)), rel=1e-6)
    assert [int(one.image[0, 0, 0]) for one in found.right] == [2, 4]


def test_images_that_fill_up_a_batch_and_outputs_that_are_no_numbers_are_no_answers() -> None:
    filled = batch(1, 1, 1)._replace(mask=np.array([True, False, True]))
    logits = np.array([[5, 0], [5, 0], [np.nan, 0]], dtype=np.float32)
    found = SurestAnswers().plus(filled, logits)
    assert (len(found.right), len(found.wrong)) == (0, 1)


def test_no_more_than_can_be_shown_are_kept_and_drawn() -> None:
    sureness = np.linspace(1, 2, 90, dtype=np.float32)
    logits = np.stack([np.zeros_like(sureness), sureness], axis=1)
    parts = [(batch(*[0] * 30), logits[start : start + 30]) for start in (0, 30, 60)]
    found = SurestAnswers()
    for one, of_part in parts:
        found = found.plus(one, of_part)
    assert len(found.wrong) == MOST_SHOWN
    assert found.wrong[-1].probability == pytest.approx(1 / (1 + np.exp(-sureness[54])))
    assert opened(draw_answers(found.wrong, ["cat", "dog"])).size


def evaluation(weights: str = "last") -> EvalRecord:
    sheet = contact_sheet(np.zeros((1, 3, 32, 32), dtype=np.uint8))
    seen = Seen(ScoreBins.empty(2), {"wrong_answers": lambda: sheet})
    return EvalRecord(1, 5, 4, 1.0, 0.5, 0.5, [[1, 1], [1, 1]], weights=weights, seen=seen)


def test_the_report_finds_the_newest_answers(tmp_path: Path) -> None:
    observer = ReportPictures(tmp_path / "report", has_pictures=lambda _: True)
    observer.record(evaluation())
    assert opened((tmp_path / "report" / "wrong_answers.png").read_bytes()).size


def test_no_picture_of_other_weights_or_of_evaluations_that_are_not_drawn(tmp_path: Path) -> None:
    ReportPictures(tmp_path / "r", has_pictures=lambda _: True).record(evaluation("ema"))
    ReportPictures(tmp_path / "r", has_pictures=lambda _: False).record(evaluation())
    assert not (tmp_path / "r").exists()


def test_pictures_that_cannot_be_written_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "report").write_text("in the way")
    observer = ReportPictures(tmp_path / "report", has_pictures=lambda _: True)
    with caplog.at_level(logging.WARNING):
        observer.record(evaluation())
        observer.record(evaluation())
    assert len(caplog.records) == 1


def test_tensorboard_is_told_the_size_of_a_picture() -> None:
    image = picture("x", contact_sheet(np.zeros((1, 3, 32, 32), dtype=np.uint8))).value[0].image
    assert (image.width, image.height) == (72, 72)
