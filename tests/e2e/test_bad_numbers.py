"""A poisoned batch and a rank whose weights drift, on two real ranks."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_dist.checkpoint.store import find_checkpoint, load_checkpoint
from tests.e2e.conftest import SCRIPTS, launch, records
from tests.e2e.killing import (
    LIMIT_S,
    assert_same_run,
    last_step,
    launched,
    lines,
    pids,
    started,
    wait_until,
)

STEP = 7
SMALL = (
    "--config=lenet5",
    "data.source=synthetic",
    "data.synthetic_train_images=640",
    "data.synthetic_test_images=40",
    "data.global_batch_size=32",
    "data.loader=mindspore",
    "data.crop_padding_mode=mean",
    "train.epochs=1",
    "monitor.tensorboard=false",
)
"""The loader is the one whose images are floats: bytes cannot be NaN."""


def train_with(
    fault: str, run_dir: Path, *arguments: str, expected: int = 1
) -> tuple[str, dict[str, Any]]:
    """Let rank 1 have a fault; return all lines that a user sees, and the only report."""
    script = SCRIPTS / "train_with_fault.py"
    options = ("--nproc", 2, "--run-dir", run_dir, "--", script)
    done = launch(*options, fault, 1, STEP, *SMALL, *arguments, cwd=run_dir.parent)
    said = done.stdout + done.stderr
    assert done.returncode == expected, said
    assert "Traceback" not in said
    (report,) = (run_dir / "report").glob("bad_numbers_step_*.json")
    found: dict[str, Any] = json.loads(report.read_text())
    return said, found


def images(report: dict[str, Any]) -> set[int]:
    return {image for of_rank in report["images"].values() for image in of_rank}


def test_a_poisoned_batch_is_found_within_the_interval_with_its_rank_and_images(
    tmp_path: Path,
) -> None:
    shown, report = train_with("poison", tmp_path / "run", "monitor.log_interval=5")
    assert f"the loss of step {STEP} is not finite on rank 1 (nan)" in shown
    assert (report["kind"], report["step"], report["ranks"]) == ("loss", STEP, [1])
    assert [float(loss) > 0 for loss in report["losses"]] == [True, False]
    assert len(images(report)) == 32
    assert [record["step"] for record in records(tmp_path / "run", "train")] == [5, 10]


def test_one_changed_weight_is_found_within_the_interval_with_its_name(tmp_path: Path) -> None:
    options = ("monitor.log_interval=5", "monitor.drift_interval_steps=6")
    shown, report = train_with("drift", tmp_path / "run", *options)
    assert "weights of ranks 0, 1 are not equal after step 12" in shown
    assert "it cannot be told which are right" in shown
    assert (report["kind"], report["step"], report["ranks"]) == ("drift", 12, [0, 1])
    assert report["parameters"] == ["classifier.bias"]
    assert not list((tmp_path / "run").glob("ckpt/step_*"))


@pytest.mark.slow
def test_weights_that_differ_are_found_and_not_saved_when_the_run_is_asked_to_stop(
    tmp_path: Path,
) -> None:
    run_dir, log = tmp_path / "run", tmp_path / "log"
    script = [str(SCRIPTS / "train_with_fault.py"), "drift", "1", str(STEP)]
    never = (
        "monitor.log_interval=5",
        "monitor.drift_interval_steps=null",
        "checkpoint.interval_epochs=null",
    )
    command = [*script, *SMALL, *never, "train.epochs=500", "eval.interval_epochs=500"]
    with started(launched(run_dir, 2, command=command), log) as process:
        wait_until(lambda: last_step(run_dir) > STEP, process)
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
    (report,) = (run_dir / "report").glob("bad_numbers_step_*.json")
    assert json.loads(report.read_text())["kind"] == "drift"
    assert "weights of ranks 0, 1 are not equal after step" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not list((run_dir / "ckpt").glob("step_*"))


@pytest.mark.slow
def test_a_poisoned_batch_in_mixed_precision_is_reported_and_costs_one_update(
    tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    options = ("monitor.log_interval=5", "train.amp=O2")
    shown, report = train_with("poison", run_dir, *options, expected=0)
    said = f"the loss of step {STEP} is not finite on rank 1 (nan); its update was left out"
    assert shown.count(said) == 1
    assert (report["kind"], report["step"], report["ranks"]) == ("overflow", STEP, [1])
    assert report["action"] == "go on"
    assert len(images(report)) == 32
    found = records(run_dir, "train")
    skipped = [record["skipped_steps"] for record in found]
    assert [after - before for before, after in pairwise(skipped)] == [1, 0, 0]
    assert [record["loss"] is None for record in found] == [False, True, False, False]


SKIP = ("monitor.on_bad_numbers=skip", "monitor.log_interval=5", "checkpoint.interval_steps=4")


def test_two_ranks_go_back_together_and_leave_out_exactly_the_poisoned_batch(
    tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    shown, report = train_with("poison", run_dir, *SKIP, expected=0)
    assert shown.count("going back") == 1
    assert "resume     after step 4" in shown
    assert (report["step"], report["ranks"], report["action"]) == (STEP, [1], "skip")
    assert len(images(report)) == 32
    found = records(run_dir, "left_out")
    assert [(record["epoch"], record["step"]) for record in found] == [(1, STEP)]
    assert [record["step"] for record in records(run_dir, "train")] == [5, 10, 15, 20]
    assert [record["step"] for record in records(run_dir, "checkpoint")] == [4, 8, 12, 16, 20]
    state = load_checkpoint(find_checkpoint(run_dir)).arrays
    assert int(state["step.steps"]) == 20
    assert all(np.isfinite(array).all() for array in state.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_left_a_batch_out_is_killed_and_leaves_it_out_again(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train_with("poison", one, *SKIP, "train.epochs=3", expected=0)
    script = [str(SCRIPTS / "train_with_fault.py"), "poison", "1", str(STEP)]
    command = [*script, *SMALL, *SKIP, "train.epochs=3"]
    log = tmp_path / "log_two"
    with started(launched(two, 2, "--max-restarts", 1, command=command), log) as process:
        wait_until(lambda: is_left_out(two), process)
        os.kill(pids(two, 0)[0], signal.SIGKILL)
        assert process.wait(LIMIT_S) == 0, log.read_text()
    assert log.read_text().count("going back") == 1
    assert_same_run(one, two)


def is_left_out(run_dir: Path) -> bool:
    return any(one["event"] == "left_out" for one in lines(run_dir / "metrics.jsonl"))


@pytest.mark.slow
def test_more_bad_batches_than_may_be_left_out_end_the_run(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    script = SCRIPTS / "train_with_fault.py"
    options = ("--nproc", 2, "--run-dir", run_dir, "--", script, "poison", 1, "7,8,13")
    limit = ("monitor.left_out_limit=2", "monitor.log_interval=1")
    done = launch(*options, *SMALL, *SKIP, *limit, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 batches were left out before: monitor.left_out_limit" in done.stderr
    actions = {
        int(path.stem.rpartition("_")[2]): json.loads(path.read_text())["action"]
        for path in (run_dir / "report").glob("bad_numbers_step_*.json")
    }
    assert actions == {7: "skip", 8: "skip", 13: "stop"}
    assert [record["step"] for record in records(run_dir, "left_out")] == [7, 8]
