"""The watch over a run's numbers and the way back from a bad batch, on one rank."""

from __future__ import annotations

import errno
import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from cifar_dist.checkpoint.choose import AUTO
from cifar_dist.checkpoint.format import MANIFEST
from cifar_dist.checkpoint.left_out import read_left_out
from cifar_dist.checkpoint.position import Recent, Results
from cifar_dist.checkpoint.store import save_checkpoint
from cifar_dist.config import Config, find_recipe, load_config
from cifar_dist.data.source import open_dataset
from cifar_dist.engine.meter import Meter, Reading
from cifar_dist.engine.retreat import Retreat, first_start, with_left_out
from cifar_dist.engine.snapshot import snapshot
from cifar_dist.engine.start import agree_on_start, begin
from cifar_dist.engine.state import to_arrays, train_parameters
from cifar_dist.engine.task import TrainTask, build_train_task
from cifar_dist.engine.watch import Watch
from cifar_dist.errors import BadNumbersError, ConfigError
from cifar_dist.runtime.context import DistContext
from launcher.contract import RunPaths

SKIP = "monitor.on_bad_numbers=skip"


def recipe(*overrides: str) -> Config:
    small = ("data.source=synthetic", "data.synthetic_train_images=96", "data.batch_size=8")
    return load_config(find_recipe("lenet5"), [*small, "train.epochs=3", *overrides]).config


def build(*overrides: str) -> TrainTask:
    ms.set_context(mode=ms.GRAPH_MODE)
    config = recipe(*overrides)
    images = open_dataset(config.data, "train")
    return build_train_task(config, DistContext(0, 1, "CPU", 0), images, images)


def reading(*losses: float) -> Reading:
    return Reading(float(np.mean(losses)), 0.1, 0.0, np.float32(losses))


def watch(task: TrainTask, folder: Path, recent: Recent | None = None) -> Watch:
    return Watch(task, folder / "report", recent or Recent())


def left_out_step(task: TrainTask, folder: Path) -> int | None:
    """Return which step a watch wants left out that meets a NaN in the second of steps 1 to 3."""
    with pytest.raises(BadNumbersError) as caught:
        watch(task, folder).judge(reading(2.0, math.nan, 2.0), 3)
    return caught.value.left_out_step


def action(folder: Path, step: int = 2) -> str:
    report = folder / "report" / f"bad_numbers_step_{step}.json"
    found: str = json.loads(report.read_text())["action"]
    return found


def test_a_bad_batch_ends_the_run_or_is_left_out_as_the_recipe_says(tmp_path: Path) -> None:
    assert left_out_step(build(), tmp_path) is None
    assert action(tmp_path) == "stop"
    assert left_out_step(build(SKIP), tmp_path) == 2
    assert action(tmp_path) == "skip"


def test_only_so_many_batches_are_left_out(tmp_path: Path) -> None:
    task = replace(build(SKIP, "monitor.left_out_limit=2"), left_out={5: "x", 6: "y"})
    with pytest.raises(BadNumbersError, match="2 batches were left out before") as caught:
        watch(task, tmp_path).judge(reading(math.nan), 2)
    assert caught.value.left_out_step is None
    assert action(tmp_path) == "stop"


def test_weights_that_went_wrong_are_no_fault_of_a_batch(tmp_path: Path) -> None:
    task = build(SKIP)
    weight = task.step.network.trainable_params()[0]
    weight.set_data(Tensor(np.full(weight.shape, np.nan, np.float32)))
    with pytest.raises(BadNumbersError) as caught:
        watch(task, tmp_path).judge_weights(Meter(task.evaluation.group), 4)
    assert caught.value.left_out_step is None


def test_a_loss_that_is_not_finite_in_a_step_without_update_is_reported_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = build("train.amp=O2")
    task.step.skipped_steps.set_data(Tensor(1, ms.int32))
    with caplog.at_level(logging.WARNING):
        watch(task, tmp_path).judge(reading(2.0, math.nan, 2.0), 3)
    assert "step 2 is not finite on rank 0 (nan); its update was left out" in caplog.text
    assert action(tmp_path) == "go on"


def test_reports_of_what_ends_no_run_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_dist.engine.watch.MOST_NOTES", 2)
    task = build("train.amp=O2")
    one = watch(task, tmp_path)
    for step in range(1, 6):
        task.step.skipped_steps.set_data(Tensor(step, ms.int32))
        one.judge(reading(math.nan), step)
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["bad_numbers_step_1.json", "bad_numbers_step_2.json"]


def test_a_watch_goes_on_with_what_another_remembered(tmp_path: Path) -> None:
    task = build("monitor.explosion_factor=2", SKIP)
    first = watch(task, tmp_path)
    for step in range(1, 7):
        first.judge(reading(2.0), step)
    assert first.recent == Recent(losses=[2.0] * 6)
    with pytest.raises(BadNumbersError, match="the loss rose to 5") as caught:
        watch(task, tmp_path, first.recent).judge(reading(5.0), 7)
    assert caught.value.left_out_step == 7


def bad(step: int) -> BadNumbersError:
    return BadNumbersError("it is bad", reason="bad", left_out_step=step)


def saved(task: TrainTask, paths: RunPaths, step: int) -> None:
    meter = Meter(task.evaluation.group)
    checkpoint = snapshot(task, meter, step, results=Results(), recent=Recent())
    save_checkpoint(paths.checkpoints, checkpoint, keep=9)


def test_a_run_goes_back_to_the_checkpoint_before_the_step_and_later_ones_are_set_aside(
    tmp_path: Path,
) -> None:
    task, paths, said = build(SKIP), RunPaths(tmp_path), []
    for step in (4, 8, 13, 16):
        saved(task, paths, step)
    without, start = Retreat(paths, None, said.append).back(task, bad(13))
    assert start.step == 8
    assert dict(without.left_out) == read_left_out(paths.checkpoints) == {13: "bad"}
    names = sorted(path.name for path in paths.checkpoints.glob("*step_*"))
    assert names == [
        "aside_step_00000013",
        "aside_step_00000016",
        "step_00000004",
        "step_00000008",
    ]
    assert "going back, to leave out the batch of step 13" in "\n".join(said)
    start = agree_on_start(task, AUTO, paths, say=said.append)
    assert dict(with_left_out(task, start, paths.checkpoints).left_out) == {13: "bad"}


def test_a_run_without_a_checkpoint_goes_back_to_its_first_weights(tmp_path: Path) -> None:
    task, paths = build(SKIP), RunPaths(tmp_path)
    before = to_arrays(train_parameters(task.step))
    retreat = Retreat(paths, first_start(task), lambda text: None)
    weight = task.step.network.trainable_params()[0]
    weight.set_data(Tensor(np.ones(weight.shape, np.float32)))
    _, start = retreat.back(task, bad(3))
    assert not start.position.is_planned
    assert not start.position.is_evaluation_due
    assert begin(task, Meter(task.evaluation.group), start)[0] == 0
    after = to_arrays(train_parameters(task.step))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_run_that_has_no_checkpoint_early_enough_ends_with_the_same_error(tmp_path: Path) -> None:
    task, paths = build(SKIP), RunPaths(tmp_path)
    saved(task, paths, 8)
    said: list[str] = []
    with pytest.raises(BadNumbersError, match="it is bad"):
        Retreat(paths, None, said.append).back(task, bad(5))
    assert [path.name for path in paths.checkpoints.iterdir()] == ["step_00000008"]
    start = agree_on_start(task, AUTO, paths, say=lambda text: None)
    assert start is not None
    assert start.step == 8
    assert said == []


def test_damaged_checkpoints_before_the_step_are_none_to_go_back_to(tmp_path: Path) -> None:
    task, paths = build(SKIP), RunPaths(tmp_path)
    for step in (4, 8):
        saved(task, paths, step)
    (paths.checkpoints / "step_00000004" / MANIFEST).unlink()
    with pytest.raises(BadNumbersError, match="it is bad"):
        Retreat(paths, None, lambda text: None).back(task, bad(5))
    names = sorted(path.name for path in paths.checkpoints.iterdir())
    assert names == ["step_00000004", "step_00000008"]


def test_a_run_that_goes_back_to_its_first_weights_sets_all_checkpoints_aside(
    tmp_path: Path,
) -> None:
    task, paths = build(SKIP), RunPaths(tmp_path)
    retreat = Retreat(paths, first_start(task), lambda text: None)
    saved(task, paths, 8)
    _, start = retreat.back(task, bad(5))
    assert start.origin == "the first weights"
    begin(task, Meter(task.evaluation.group), start)
    assert retreat.first is not None
    assert retreat.first.checkpoint.arrays, "another bad batch may come"
    names = sorted(path.name for path in paths.checkpoints.iterdir())
    assert names == ["aside_step_00000008", "left_out.json"]


def test_checkpoints_that_cannot_be_set_aside_are_a_user_s_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, paths = build(SKIP), RunPaths(tmp_path)
    for step in (4, 8):
        saved(task, paths, step)

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("cifar_dist.engine.start.set_aside_later", refused)
    with pytest.raises(ConfigError, match="Read-only file system"):
        Retreat(paths, None, lambda text: None).back(task, bad(5))


def test_another_run_directory_leaves_out_what_the_first_one_did(tmp_path: Path) -> None:
    task, one, other = build(SKIP), RunPaths(tmp_path / "one"), RunPaths(tmp_path / "other")
    saved(task, one, 8)
    Retreat(one, None, lambda text: None).back(task, bad(13))
    start = agree_on_start(task, str(one.root), other, say=lambda text: None)
    assert dict(with_left_out(task, start, other.checkpoints).left_out) == {13: "bad"}
    assert read_left_out(other.checkpoints) == {13: "bad"}


def test_the_steps_of_a_record_are_those_that_were_trained_with() -> None:
    task = replace(build(), left_out={3: "x", 4: "x", 9: "x"})
    assert task.trained_steps(6, 4) == [1, 2, 5, 6]
    assert task.trained_steps(9, 2) == [7, 8]
    assert task.trained_steps(2, 2) == [1, 2]
