"""What TensorBoard is told once at the beginning, and the pictures of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from cifar_dist.config import find_recipe, load_config
from cifar_dist.metrics.score_bins import ScoreBins
from cifar_dist.observe.opening import hparams_of, opening_of
from cifar_dist.observe.pictures import contact_sheet
from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    Record,
    Seen,
    TrainRecord,
    to_json,
)
from cifar_dist.observe.tags import LAYOUT
from cifar_dist.observe.tensorboard import TensorBoard, trim_tensorboard

SHEET = contact_sheet(np.zeros((2, 3, 32, 32), dtype=np.uint8))
EVALUATION = EvalRecord(
    epoch=1,
    step=5,
    count=4,
    loss=1.0,
    accuracy=0.5,
    error_rate=0.5,
    confusion_matrix=[[1, 1], [1, 1]],
    per_class=[{"name": name, "f1": 0.5} for name in ("cat", "dog")],
    seen=Seen(
        ScoreBins.empty(2).plus([[1, 0], [0, 1], [2, 0]], [0, 1, 1], [True] * 3),
        {"wrong_answers": lambda: SHEET},
    ),
)
TAGS = (
    "ranks/step_ms/rank_2",
    "ranks/slowest_rank",
    "ranks/slowest_to_median",
    "checkpoint/seconds",
)
TRAINED = TrainRecord(1, 5, 1.25, 0.05, 1234.5, 51.8, 0.2, 1024.0, 2)


def recorded(folder: Path, *records: Record) -> EventAccumulator:
    config = load_config(find_recipe("lenet5"), ["train.seed=7"]).config
    opening = opening_of(config, global_batch_size=64, world_size=2, batch_png=lambda: SHEET)
    board = TensorBoard(folder, opening, has_pictures=lambda record: record.step % 2 == 1)
    for record in records:
        board.record(record)
    board.close()
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def sessions(found: EventAccumulator) -> dict[str, plugin_data_pb2.HParamsPluginData]:
    contents = found.PluginTagToContent("hparams")
    return {
        tag: plugin_data_pb2.HParamsPluginData.FromString(data) for tag, data in contents.items()
    }


def test_a_run_can_be_compared_by_its_recipe(tmp_path: Path) -> None:
    told = sessions(recorded(tmp_path, TRAINED, EVALUATION, EndRecord(1, 1, 2, 3)))
    start = told["_hparams_/session_start_info"].session_start_info.hparams
    assert start["model.name"].string_value == "lenet5"
    assert start["train.seed"].number_value == 7
    assert start["ranks"].number_value == 2
    metrics = told["_hparams_/experiment"].experiment.metric_infos
    assert "accuracy/eval" in [one.name.tag for one in metrics]
    assert told["_hparams_/session_end_info"].session_end_info.status == 1


def test_keys_that_a_recipe_sets_are_compared_and_places_are_not() -> None:
    recipe = find_recipe("lenet5")
    plain = hparams_of(load_config(recipe, []).config)
    other = hparams_of(load_config(recipe, ["train.ema_decay=0.9", "data.dir=/x"]).config)
    assert other.keys() - plain.keys() == {"train.ema_decay"}
    assert all(isinstance(value, bool | float | str) for value in other.values())


def test_the_layout_names_curves_by_patterns(tmp_path: Path) -> None:
    found = recorded(tmp_path)
    tensor = found.Tensors("custom_scalars__config__")[0].tensor_proto
    layout = layout_pb2.Layout.FromString(tensor.string_val[0])
    assert [one.title for one in layout.category] == list(LAYOUT)
    assert list(layout.category[0].chart[0].multiline.tag) == ["loss/train", "loss/eval.*"]


def test_the_recipe_is_a_text(tmp_path: Path) -> None:
    text = recorded(tmp_path).Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]
    assert b"name: lenet5" in text


def test_an_evaluation_has_pictures_and_curves(tmp_path: Path) -> None:
    found = recorded(tmp_path, TRAINED, EVALUATION)
    images = {tag: found.Images(tag)[0].step for tag in found.Tags()["images"]}
    assert images == {
        "images/augmented_batch": 0,
        "images/confusion_matrix": 5,
        "images/wrong_answers": 5,
    }
    values = found.Tensors("precision_recall/dog")[0].tensor_proto
    rows = np.array(values.float_val).reshape(6, -1)
    assert rows[:4, 0].tolist() == [2, 1, 0, 0]
    assert rows[4:, 0].tolist() == [pytest.approx(2 / 3), 1]
    assert (rows[:4].sum(axis=0) == 3).all()


def test_not_every_evaluation_is_drawn_and_none_of_other_weights(tmp_path: Path) -> None:
    average = replace(EVALUATION, weights="ema")
    found = recorded(tmp_path, replace(EVALUATION, step=4), average)
    assert found.Tags()["images"] == ["images/augmented_batch"]
    assert [one.step for one in found.Scalars("accuracy/eval")] == [4]


def test_the_slowest_rank_is_named(tmp_path: Path) -> None:
    ranks = [10.0, 10.0, 25.0, 10.0]
    found = recorded(
        tmp_path,
        replace(TRAINED, rank_step_ms=ranks),
        CheckpointRecord(5, "ckpt/step_00000005", save_s=0.5),
        replace(TRAINED, step=6),
    )
    points = {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in TAGS}
    assert points == {
        "ranks/step_ms/rank_2": [(5, 25.0)],
        "ranks/slowest_rank": [(5, 2.0)],
        "ranks/slowest_to_median": [(5, 2.5)],
        "checkpoint/seconds": [(5, 0.5)],
    }


def test_what_pictures_are_made_of_is_not_in_the_metrics() -> None:
    assert "seen" not in to_json(EVALUATION)


def test_pictures_that_are_made_anew_are_cut_off_and_the_opening_stays(tmp_path: Path) -> None:
    recorded(tmp_path, TRAINED, EVALUATION, EndRecord(1, 1, 2, 3))
    trim_tensorboard(tmp_path, 5)
    found = recorded(tmp_path, EVALUATION, replace(TRAINED, step=6), EndRecord(1, 1, 2, 3))
    for tag in found.Tags()["images"]:
        assert len(found.Images(tag)) == 1, tag
    for tag in (tag for tag in found.Tags()["tensors"]):
        assert len(found.Tensors(tag)) == 1, tag
    assert sessions(found).keys() == {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }
