"""Records and the places they go to: metrics.jsonl, TensorBoard, the console, progress."""

from __future__ import annotations

import json
import logging
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.confusion_table import confusion_table
from cifar_dist.observe.console import ConsoleLines, Span, compiled_line, duration
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.opening import Opening
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    TrainRecord,
    eval_record,
    finite,
)
from cifar_dist.observe.start_times import StartTimes
from cifar_dist.observe.tensorboard import TensorBoard
from launcher.contract import Progress, RunPaths, read_record


def train_record(step: int = 20, loss: float | None = 1.25) -> TrainRecord:
    return TrainRecord(
        epoch=1,
        step=step,
        loss=loss,
        lr=0.05,
        images_per_s=1234.5,
        step_ms=51.8,
        data_wait_ms=0.2,
        loss_scale=1024.0,
        world_size=2,
    )


def evaluation() -> EvalRecord:
    tally = Tally.empty(2).plus([0, 0, 1], [0, 1, 1], [0.5, 1.5, 1.0], [True] * 3)
    return eval_record(tally, ("cat", "dog"), epoch=1, step=20, eval_s=0.5)


def test_an_evaluation_says_what_its_counts_say() -> None:
    record = evaluation()
    assert record.count == 3
    assert record.accuracy == pytest.approx(2 / 3)
    assert record.error_rate == pytest.approx(1 / 3)
    assert record.loss == pytest.approx(1.0)
    assert record.confusion_matrix == [[1, 1], [0, 1]]
    assert [one["name"] for one in record.per_class] == ["cat", "dog"]
    assert record.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_each_record_is_one_line_with_the_keys_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    sink = MetricsFile(path)
    for record in (train_record(), evaluation(), CheckpointRecord(20, "x"), EndRecord(1, 1, 2, 3)):
        sink.record(record)
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["train", "eval", "checkpoint", "end"]
    assert lines[0].keys() >= {
        "epoch",
        "step",
        "loss",
        "lr",
        "images_per_s",
        "step_ms",
        "data_wait_ms",
        "loss_scale",
        "world_size",
    }
    assert lines[1].keys() >= {"count", "accuracy", "error_rate", "confusion_matrix", "per_class"}


def test_a_loss_that_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    assert finite(float("nan")) is None
    sink = MetricsFile(tmp_path / "metrics.jsonl")
    sink.record(train_record(loss=finite(float("inf"))))
    sink.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] is None


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let files grow to ``size`` bytes: a disk that is full, without a disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_once_and_does_not_raise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = MetricsFile(tmp_path / "metrics.jsonl")
    with caplog.at_level(logging.WARNING), largest_file(10):
        sink.record(train_record())
        sink.record(train_record())
    sink.close()
    assert len(caplog.records) == 1
    assert "the run goes on" in caplog.text


def test_tensorboard_reads_back_every_scalar(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, Opening("model:\n  name: lenet5", {"lr": 0.1}))
    board.record(train_record())
    board.record(evaluation())
    board.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    tags = set(found.Tags()["scalars"])
    assert tags >= {
        "loss/train",
        "loss/eval",
        "accuracy/eval",
        "lr",
        "throughput/images_per_s",
        "time/step_ms",
        "time/data_wait_ms",
        "amp/loss_scale",
        "amp/skipped_steps",
        "f1/cat",
        "f1/macro",
    }
    assert found.Scalars("loss/train")[0].step == 20
    assert found.Scalars("loss/train")[0].value == pytest.approx(1.25)
    assert found.Tags()["tensors"]


def test_a_train_line_says_where_the_run_is_and_how_long_it_lasts() -> None:
    lines: list[str] = []
    console = ConsoleLines(
        Span(epochs=10, total_steps=1000, global_batch_size=100), say=lines.append
    )
    console.record(train_record())
    assert "epoch  1/10" in lines[0]
    assert "step   20/1000" in lines[0]
    assert "loss 1.2500" in lines[0]
    assert "eta 0:01:19" in lines[0]  # 980 steps of 100 images at 1,234.5 images/s


def test_a_loss_that_is_no_number_is_said() -> None:
    lines: list[str] = []
    ConsoleLines(Span(1, 100, 1), say=lines.append).record(train_record(loss=None))
    assert "loss not finite" in lines[0]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (36061, "10:01:01")]
)
def test_durations_are_hours_minutes_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_confusion_table_has_a_line_per_class() -> None:
    record = evaluation()
    text = confusion_table(record.confusion_matrix, ("cat", "dog"))
    assert [line.split()[0] for line in text.splitlines()] == ["truth", "cat", "dog"]
    assert text.splitlines()[1].split()[1:] == ["1", "1"]


def test_a_matrix_too_wide_for_a_screen_is_not_printed() -> None:
    assert "100 classes" in confusion_table([[0] * 100] * 100, [str(n) for n in range(100)])


def test_a_network_with_more_outputs_than_classes_has_a_row_for_each() -> None:
    tally = Tally.empty(3).plus([0, 1], [2, 1], [0.5, 1.5], [True] * 2)
    record = eval_record(tally, ("cat", "dog"), epoch=1, step=20, eval_s=0.5)
    assert [one["name"] for one in record.per_class] == ["cat", "dog", "class 2"]
    assert record.per_class[2]["predicted"] == 1


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_progress_is_written_at_each_phase_and_twice_a_second(tmp_path: Path) -> None:
    clock = Clock()
    progress = ProgressFile(tmp_path, 3, clock=clock)
    path = RunPaths(tmp_path).progress(3)
    progress.phase("train")
    progress.step(0, 1)
    assert read_record(Progress, path) == Progress(3, "train", 0, 1, 50.0)
    clock.now_s += 0.1
    progress.step(0, 2)
    assert read_record(Progress, path).step == 1
    clock.now_s += 0.5
    progress.step(0, 3)
    assert read_record(Progress, path).step == 3
    progress.phase("evaluate")
    assert read_record(Progress, path).phase == "evaluate"


def test_progress_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("in the way")
    ProgressFile(tmp_path, 0).phase("train")
    ProgressFile(None, 0).phase("train")
    assert np.array_equal(list(tmp_path.iterdir()), [tmp_path / "progress"])


def test_the_first_step_is_told_with_its_time_and_later_phases_are_not(tmp_path: Path) -> None:
    now_s: list[float] = [10.0]
    told: list[float] = []
    progress = ProgressFile(tmp_path, 0, clock=lambda: now_s[0], on_first_step=told.append)
    progress.phase("compile")
    now_s[0] = 22.5
    progress.trained(0, 1)
    with progress.during("evaluate"):
        now_s[0] = 30.0
    progress.trained(0, 2)
    assert told == [12.5]
    before_s = {"data": 0.52, "import": 2.0}
    line = compiled_line(told[0], before_s=before_s)
    assert line == "compiled   first step after 12.5 s (data 0.5, import 2.0 before)"


def test_the_parts_of_a_start_follow_each_other() -> None:
    now_s = [10.0]
    times = StartTimes(clock=lambda: now_s[0])
    now_s[0] = 11.5
    times.ends("data")
    now_s[0] = 11.75
    times.ends("import")
    assert dict(times.parts_s) == {"data": 1.5, "import": 0.25}


def test_signs_of_life_tell_the_numbers_of_the_moment(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path, 3)
    progress.tells(lambda: {"loss": 1.5, "total_steps": 40})
    progress.phase("train")
    record = read_record(Progress, RunPaths(tmp_path).progress(3))
    assert record is not None
    assert (record.loss, record.total_steps, record.accuracy) == (1.5, 40, None)
