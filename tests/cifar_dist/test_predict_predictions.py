"""Predictions as values, as a table and as one picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cifar_dist.config import find_recipe, load_config
from cifar_dist.data import cifar10, synthetic
from cifar_dist.errors import NotComputableError
from cifar_dist.predict.classes import class_names, record_layout
from cifar_dist.predict.grid import MOST_TILES, picture_grid
from cifar_dist.predict.inputs import Source
from cifar_dist.predict.predictions import Prediction, prediction_table, predictions_of

CLASSES = ("cat", "dog", "frog")
GREEN, RED = (0x1A, 0x7F, 0x37), (0xCF, 0x22, 0x2E)


def some() -> list[Prediction]:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]])
    sources = [Source("x.bin", 0, 0), Source("x.bin", 1, 2), Source("a.png", note="from L")]
    return predictions_of(probabilities, sources, CLASSES)


def test_a_prediction_is_the_most_probable_class_with_the_truth() -> None:
    right, wrong, unknown = some()
    assert (right.label, right.probability, right.is_right) == ("cat", 0.7, True)
    assert (wrong.label, wrong.truth, wrong.is_right) == ("dog", "frog", False)
    assert (unknown.label, unknown.truth, unknown.is_right) == ("frog", None, None)


def test_a_row_has_what_the_file_promises() -> None:
    assert some()[1].row() == ("x.bin", 1, "dog", "0.500000", "frog", "")
    assert some()[2].row() == ("a.png", "", "frog", "0.400000", "", "from L")


def test_outputs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NotComputableError, match="diverged"):
        predictions_of(np.full((1, 3), np.nan), [Source("a.png")], CLASSES)


def test_the_table_marks_right_and_wrong_and_counts_them() -> None:
    lines = prediction_table(some()).splitlines()
    assert "right" in lines[1]
    assert "wrong: frog" in lines[2]
    assert lines[3].endswith("a.png  (from L)")
    assert lines[-1] == "1 right of 2 whose truth is known: 0.5000"


def test_a_long_table_is_cut() -> None:
    lines = prediction_table(some() * 10).splitlines()
    assert "and 10 more" in lines
    assert lines[-1].startswith("10 right of 20")


def test_a_name_of_a_file_cannot_act_on_the_terminal() -> None:
    hostile = Prediction(Source("\x1b[2J\n.png"), "cat", 0.5, None)
    assert "\x1b" not in prediction_table([hostile])


def test_the_grid_frames_right_and_wrong_images_and_enlarges_them() -> None:
    images = np.zeros((3, 3, 32, 32), dtype=np.uint8)
    images[:, 0] = 250
    grid = Image.open(io.BytesIO(picture_grid(images, some()))).convert("RGB")
    colours = {colour: count for count, colour in grid.getcolors(maxcolors=100_000)}
    assert colours[GREEN] > 1000
    assert colours[RED] > 1000
    assert colours[(250, 0, 0)] >= 3 * 128 * 128 - 1000  # the cross of the wrong one covers some


@pytest.mark.parametrize(("count", "tiles"), [(1, (1, 1)), (5, (3, 2)), (200, (8, 8))])
def test_the_grid_is_as_square_as_it_can_be_and_bounded(count: int, tiles: tuple[int, int]) -> None:
    one = some()[0]
    images = np.zeros((count, 3, 32, 32), dtype=np.uint8)
    size = Image.open(io.BytesIO(picture_grid(images, [one] * count))).size
    assert tiles[0] * tiles[1] <= MOST_TILES
    assert size == (tiles[0] * 144 + 8, tiles[1] * 170 + 8)


def test_classes_are_those_of_the_recipes_data() -> None:
    quickstart = find_recipe("quickstart")
    assert class_names(load_config(quickstart).config) == synthetic.CLASSES
    real = load_config(quickstart, ["data.source=cifar10", "model.num_classes=11"]).config
    assert class_names(real) == (*cifar10.CLASSES, "class 10")
    assert record_layout(real.data) is cifar10.LAYOUT


def test_the_classes_of_cifar_100_go_by_number_without_their_names(tmp_path: object) -> None:
    overrides = ["data.source=cifar100", "model.num_classes=100", f"data.dir={tmp_path}"]
    config = load_config(find_recipe("quickstart"), overrides).config
    assert class_names(config)[:2] == ("class 0", "class 1")
    names = "\n".join(f"name_{n}" for n in range(100))
    (tmp_path / "fine_label_names.txt").write_text(names)  # type: ignore[operator]
    assert class_names(config)[99] == "name_99"
    assert record_layout(config.data).record_bytes == 3074
