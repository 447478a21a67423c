"""Metrics and TensorBoard of a run that goes on from a checkpoint: no step twice, none lost."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.event_file import PATTERN
from cifar_dist.observe.metrics_file import MetricsFile, is_finished, trim_metrics
from cifar_dist.observe.opening import Opening
from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    LeftOutRecord,
    Observer,
    TrainRecord,
    eval_record,
)
from cifar_dist.observe.tensorboard import TensorBoard, trim_tensorboard

TRAIN = TrainRecord(1, 0, 1.25, 0.05, 1234.5, 51.8, 0.2, 1024.0, 2)


def evaluation(step: int) -> EvalRecord:
    tally = Tally.empty(2).plus([0, 0, 1], [0, 1, 1], [0.5, 1.5, 1.0], [True] * 3)
    return eval_record(tally, ("cat", "dog"), epoch=1, step=step, eval_s=0.5)


def tell(observer: Observer, first: int, last: int) -> None:
    """What a run says that records, saves and evaluates after every step."""
    for step in range(first, last + 1):
        observer.record(replace(TRAIN, step=step))
        observer.record(CheckpointRecord(step, f"ckpt/step_{step:08d}"))
        observer.record(evaluation(step))
    observer.close()


def test_records_behind_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    path, other = tmp_path / "metrics.jsonl", tmp_path / "other.jsonl"
    tell(MetricsFile(path), 1, 5)
    with path.open("a") as file:
        file.write('{"event": "train", "st')
    trim_metrics(path, 3)
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["event"], last["step"]) == ("train", 3)
    sink = MetricsFile(path)
    sink.record(CheckpointRecord(3, "ckpt/step_00000003"))
    sink.record(evaluation(3))
    tell(sink, 4, 6)
    tell(MetricsFile(other), 1, 6)
    assert path.read_bytes() == other.read_bytes()


def test_a_step_left_out_stays_where_the_checkpoint_is_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    sink = MetricsFile(path)
    for step in (3, 4):
        sink.record(LeftOutRecord(1, step, "the loss is not finite"))
        sink.record(CheckpointRecord(step, f"ckpt/step_{step:08d}"))
    trim_metrics(path, 3)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [3]


def test_a_run_that_begins_anew_keeps_no_record(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tell(MetricsFile(path), 1, 2)
    trim_metrics(path, 0)
    assert path.read_bytes() == b""
    trim_metrics(tmp_path / "none.jsonl", 0)


def test_a_run_is_finished_when_its_last_record_says_so(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert not is_finished(path)
    sink = MetricsFile(path)
    sink.record(replace(TRAIN, step=1))
    assert not is_finished(path)
    sink.record(EndRecord(1, 1, 2, 3))
    sink.close()
    assert is_finished(path)
    trim_metrics(path, 1)
    assert not is_finished(path)


def points(folder: Path) -> dict[str, list[int]]:
    """Return the steps of every curve as TensorBoard itself reads them."""
    found = EventAccumulator(str(folder), purge_orphaned_data=False)
    found.Reload()
    return {tag: [one.step for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_finds_every_step_once_after_a_kill(tmp_path: Path) -> None:
    tell(TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1})), 1, 5)
    trim_tensorboard(tmp_path, 3)
    assert points(tmp_path)["loss/train"] == [1, 2, 3]
    assert points(tmp_path)["loss/eval"] == points(tmp_path)["f1/cat"] == [1, 2]
    board = TensorBoard(tmp_path, Opening("a: 2", {"lr": 0.1}))
    board.record(evaluation(3))
    tell(board, 4, 6)
    assert len(list(tmp_path.glob(PATTERN))) == 2
    assert all(steps == [1, 2, 3, 4, 5, 6] for steps in points(tmp_path).values())
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert len(found.Tensors("recipe/text_summary")) == 1


def test_points_before_a_torn_record_are_kept(tmp_path: Path) -> None:
    tell(TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1})), 1, 5)
    file = next(tmp_path.glob(PATTERN))
    file.write_bytes(file.read_bytes()[:-7])
    trim_tensorboard(tmp_path, 9)
    assert points(tmp_path)["f1/dog"] == [1, 2, 3, 4, 5]
    found = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    found.Reload()
    assert [one.step for one in found.Images("images/confusion_matrix")] == [1, 2, 3, 4]


def test_a_run_that_begins_anew_keeps_no_point(tmp_path: Path) -> None:
    tell(TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1})), 1, 2)
    trim_tensorboard(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []
    tell(TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1})), 1, 2)
    assert points(tmp_path)["lr"] == [1, 2]


def test_points_are_on_disk_as_soon_as_they_are_recorded(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1}))
    board.record(replace(TRAIN, step=7))
    assert points(tmp_path)["loss/train"] == [7]
    board.close()


def test_a_full_disk_is_said_once_and_does_not_raise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.cifar_dist.test_observe import largest_file

    board = TensorBoard(tmp_path, Opening("a: 1", {"lr": 0.1}))
    size = next(tmp_path.glob(PATTERN)).stat().st_size
    with caplog.at_level(logging.WARNING), largest_file(size + 100):
        tell(board, 1, 3)
    assert len(caplog.records) == 1
    assert points(tmp_path)["loss/train"] == [1]
