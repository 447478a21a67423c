"""The training loop on one rank: what it saves and says when something comes between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.source import open_dataset
from cifar_dist.engine.assign import assign
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.retreat import Retreat, first_start
from cifar_dist.engine.task import TrainTask, build_train_task
from cifar_dist.engine.trainer import train
from cifar_dist.errors import BadNumbersError, StoppedError
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.runtime.context import DistContext
from cifar_dist.runtime.profile import TRACE, StepProfile
from cifar_dist.runtime.stop import StopRequest
from launcher.contract import RunPaths

OVERRIDES = (
    "data.source=synthetic",
    "data.synthetic_train_images=96",
    "data.global_batch_size=8",
    "train.epochs=1",
    "monitor.log_interval=10",
)


def build(*overrides: str) -> TrainTask:
    ms.set_context(mode=ms.GRAPH_MODE)
    config = load_config(find_recipe("lenet5"), [*OVERRIDES, *overrides]).config
    images = open_dataset(config.data, "train")
    return build_train_task(config, DistContext(0, 1, "CPU", 0), images, images)


class Steps(ProgressFile):
    """Notes the finished steps, and lets something happen after one of them."""

    def __init__(self, events: dict[int, Callable[[], None]]) -> None:
        super().__init__(None, 0)
        self.finished: list[int] = []
        self._events = events

    def trained(self, epoch: int, step: int) -> None:
        self.finished.append(step)
        super().trained(epoch, step)
        if step in self._events:
            self._events[step]()


def outlets(folder: Path, steps: Steps) -> Outlets:
    return Outlets([], steps, folder / "ckpt", folder / "report")


def stopped_after(
    task: TrainTask, folder: Path, *, asked_at: int, broken: int | None = None
) -> None:
    """Train until a signal comes after a step; one of the weights may be NaN before that step."""
    request = StopRequest()

    def spoil() -> None:
        if broken is None:
            return
        weight = task.step.network.trainable_params()[broken]
        assign(weight, np.full(weight.shape, np.nan, np.float32))

    def ask() -> None:
        request.ask(signal.SIGTERM)

    out = outlets(folder, Steps({asked_at - 1: spoil, asked_at: ask}))
    try:
        train(task, out, stop=request)
    finally:
        out.settle()


def test_a_run_that_is_asked_to_stop_saves_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="after step 4"):
        stopped_after(build(), tmp_path, asked_at=4)
    (path,) = list_checkpoints(tmp_path / "ckpt")
    found = load_checkpoint(path)
    assert found.step == 4
    assert len(found.arrays["ranks.losses"][0]) == 4


@pytest.mark.parametrize(
    ("broken", "said"), [(0, "weights are not finite after step 4"), (-1, "the loss of step 4")]
)
def test_a_run_whose_numbers_are_wrong_saves_nothing_when_it_is_asked_to_stop(
    broken: int, said: str, tmp_path: Path
) -> None:
    # A ReLU on a CPU turns NaN into 0: the first weights leave the loss finite, the last do not.
    with pytest.raises(BadNumbersError, match=said):
        stopped_after(build(), tmp_path, asked_at=4, broken=broken)
    assert list_checkpoints(tmp_path / "ckpt") == []
    assert len(list((tmp_path / "report").iterdir())) == 1


def spoils(task: TrainTask) -> Callable[[], None]:
    """Return what lets the loss of the next step be NaN: a weight that no ReLU hides."""
    weight = task.step.network.trainable_params()[-1]
    return lambda: assign(weight, np.full(weight.shape, np.nan, np.float32))


def test_times_of_a_run_that_goes_back_are_those_of_its_process(tmp_path: Path) -> None:
    task = build("monitor.on_bad_numbers=skip", "checkpoint.interval_steps=2")
    retreat = Retreat(RunPaths(tmp_path), first_start(task), lambda text: None)
    out = outlets(tmp_path, Steps({3: spoils(task)}))
    with pytest.raises(BadNumbersError) as caught:
        train(task, out)
    out.settle()
    before = replace(task.spent)
    assert before.compile_s is not None
    task, start = retreat.back(task, caught.value)
    assert start.step == 2
    steps = Steps({})
    end = train(task, outlets(tmp_path, steps), start)
    assert steps.finished == list(range(3, 13))
    assert end.compile_s == before.compile_s
    assert end.saving_s > before.saving_s > 0


def test_a_run_that_is_asked_to_stop_behind_a_bad_batch_goes_back_stops_and_saves(
    tmp_path: Path,
) -> None:
    task, request = build("monitor.on_bad_numbers=skip"), StopRequest()
    retreat = Retreat(RunPaths(tmp_path), first_start(task), lambda text: None)

    def ask() -> None:
        request.ask(signal.SIGTERM)

    with pytest.raises(BadNumbersError) as caught:
        train(task, outlets(tmp_path, Steps({3: spoils(task), 4: ask})), stop=request)
    assert list_checkpoints(tmp_path / "ckpt") == []
    task, start = retreat.back(task, caught.value)
    assert list(task.left_out) == [4]
    with pytest.raises(StoppedError, match="after step 1; checkpoint"):
        train(task, outlets(tmp_path, Steps({})), start, request)
    (path,) = list_checkpoints(tmp_path / "ckpt")
    saved = load_checkpoint(path).arrays
    assert all(np.isfinite(array).all() for array in saved.values())


def test_what_compiles_is_the_first_step_that_has_a_batch(tmp_path: Path) -> None:
    task, steps = replace(build("train.max_steps=3"), left_out={1: "bad"}), Steps({})
    train(task, outlets(tmp_path, steps))
    assert steps.finished == [2, 3]


def test_a_profile_whose_first_and_last_steps_are_left_out_is_of_those_between(
    tmp_path: Path,
) -> None:
    task, said = replace(build("train.max_steps=6"), left_out={2: "bad", 5: "bad"}), []
    profile = StepProfile((2, 5), tmp_path / "profile", say=said.append)
    train(task, outlets(tmp_path, Steps({})), profile=profile)
    assert "profile    steps 2 to 5 of each rank" in said[0]
    (trace,) = (tmp_path / "profile" / "rank_0").glob(f"*/{TRACE}")
    names = [
        event["name"]
        for event in json.loads(trace.read_text())
        if event.get("args", {}).get("type") == "HostCpuOps"
    ]
    (count, operators), *_ = Counter(Counter(names).values()).most_common()
    assert count == 2
    assert operators > 20
