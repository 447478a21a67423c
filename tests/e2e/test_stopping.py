"""SIGTERM while two ranks compile, evaluate or save: all end, with one common step saved."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from tests.e2e.conftest import records
from tests.e2e.killing import LIMIT_S, SMALL, finish, launched, lines, started, trainer, wait_until

RANKS = 2
_AFTER_STEP = re.compile(r"^stopped by SIGTERM after step (\d+)", re.MULTILINE)
_BEFORE = "stopped by SIGTERM, without a step to save"


def phases(run_dir: Path) -> list[str]:
    """Return what each rank says that it does; empty where not all of them say it."""
    try:
        texts = [(run_dir / "progress" / f"rank_{rank}.json").read_text() for rank in range(RANKS)]
    except FileNotFoundError:
        return []
    return [json.loads(text)["phase"] for text in texts]


def stop_when(moment: Callable[[], bool], run_dir: Path, command: list[str]) -> None:
    """Send SIGTERM to the launcher at a moment; it must end with 143, and not need SIGKILL."""
    log = run_dir.with_name("log")
    with started(command, log) as process:
        wait_until(moment, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 143, log.read_text()
    assert [one for one in lines(run_dir / "events.jsonl") if one["event"] == "kill"] == []
    assert "Traceback" not in log.read_text()


def said(run_dir: Path) -> list[str]:
    folder = run_dir / "logs" / "attempt_0"
    return [(folder / f"rank_{rank}.log").read_text() for rank in range(RANKS)]


def common_step(run_dir: Path) -> int:
    """Return the step after which all ranks say that they stopped, and which is the newest saved.

    All that is saved must be whole, and nothing else may be left beside it.
    """
    steps = {int(step) for text in said(run_dir) for step in _AFTER_STEP.findall(text)}
    saved = [load_checkpoint(path).step for path in list_checkpoints(run_dir / "ckpt")]
    assert steps == {saved[-1]}
    assert list((run_dir / "ckpt").glob(".*")) == []
    return saved[-1]


@pytest.mark.timeout(400)
def test_ranks_that_evaluate_stop_and_evaluate_again_when_they_go_on(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    long = ("data.synthetic_test_images=6000", "eval.batch_size=2", "train.epochs=2")
    command = launched(run_dir, RANKS, command=trainer("lenet5", *SMALL, *long))
    stop_when(lambda: phases(run_dir) == ["evaluate"] * RANKS, run_dir, command)
    step = common_step(run_dir)
    assert step == 20
    assert records(run_dir, "eval") == []
    short = (*long[:1], "eval.batch_size=200", "train.epochs=2")
    goes_on = ("--resume", "auto")
    command = launched(run_dir, RANKS, *goes_on, command=trainer("lenet5", *SMALL, *short))
    assert f"resume     after step {step}" in finish(command, tmp_path / "log")
    assert [record["step"] for record in records(run_dir, "eval")] == [20, 40]


@pytest.mark.slow
def test_ranks_that_compile_end_at_once_for_there_is_nothing_to_save(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    options = ("model.name=resnet20", "train.max_steps=30")
    command = launched(run_dir, RANKS, command=trainer("quickstart", *SMALL, *options))
    stop_when(lambda: phases(run_dir) == ["compile"] * RANKS, run_dir, command)
    assert [_BEFORE in text for text in said(run_dir)] == [True, True]
    assert list_checkpoints(run_dir / "ckpt") == []
    assert records(run_dir, "train") == []


@pytest.mark.slow
def test_ranks_that_save_finish_it_and_leave_nothing_half_written(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    often = ("checkpoint.interval_steps=1", "train.epochs=100")
    command = launched(run_dir, RANKS, command=trainer("lenet5", *SMALL, *often))

    def is_saving() -> bool:
        return len(list_checkpoints(run_dir / "ckpt")) >= 3 and any(
            (run_dir / "ckpt").glob(".step_*.tmp")
        )

    stop_when(is_saving, run_dir, command)
    assert common_step(run_dir) >= 3
