"""A run that is ended at any moment and goes on is the run that would have been."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.e2e.conftest import launch, records
from tests.e2e.killing import (
    LIMIT_S,
    SMALL,
    alone,
    assert_same_run,
    finish,
    last_step,
    launched,
    lines,
    pids,
    started,
    trainer,
    wait_until,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 on one rank, to its end."""
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(alone(run_dir, "lenet5", *SMALL), run_dir.parent / "log")
    return run_dir


def test_one_rank_killed_and_stopped_ends_as_if_it_had_not_been(
    undisturbed: Path, tmp_path: Path
) -> None:
    run_dir, log = tmp_path / "run", tmp_path / "log"
    command = alone(run_dir, "lenet5", *SMALL)
    for step, number in ((12, signal.SIGKILL), (24, signal.SIGTERM), (42, signal.SIGKILL)):
        with started(command, log) as process:
            wait_until(lambda step=step: last_step(run_dir) >= step, process)  # type: ignore[misc]
            process.send_signal(number)
            assert process.wait(LIMIT_S) == -number
    said = finish(command, log)
    assert "stopped by SIGTERM after step" in said
    assert said.count("resume     after step") == 3
    assert_same_run(undisturbed, run_dir)
    curves = EventAccumulator(str(run_dir / "tb"), purge_orphaned_data=False)
    curves.Reload()
    assert [point.step for point in curves.Scalars("loss/train")] == list(range(3, 61, 3))
    assert [point.step for point in curves.Scalars("accuracy/eval")] == [20, 40, 60]


def test_a_finished_run_says_so_and_stays_as_it_is(undisturbed: Path) -> None:
    before = (undisturbed / "metrics.jsonl").read_bytes()
    said = finish(alone(undisturbed, "lenet5", *SMALL), undisturbed.parent / "again")
    assert "is finished: it has all 60 steps" in said
    assert (undisturbed / "metrics.jsonl").read_bytes() == before


def test_another_recipe_is_refused_by_its_keys(undisturbed: Path, tmp_path: Path) -> None:
    command = alone(
        undisturbed, "lenet5", *SMALL, "optimizer.lr=0.1", "model.relu_between_dense=false"
    )
    said = finish(command, tmp_path / "log", expected=2)
    assert "optimizer.lr: 0.02 in the checkpoint, 0.1 now" in said
    assert "model.relu_between_dense" in said
    assert "Traceback" not in said


def test_the_launcher_refuses_another_recipe_before_anything_starts(
    undisturbed: Path, tmp_path: Path
) -> None:
    config = (undisturbed / "config.yaml").read_bytes()
    options = ("--nproc", 1, "--run-dir", undisturbed, "--resume", "auto")
    done = launch(*options, "--config", "lenet5.yaml", *SMALL, "train.seed=7", cwd=tmp_path)
    assert done.returncode == 2
    assert "train.seed: 0 in the checkpoint, 7 now" in done.stderr
    assert (undisturbed / "config.yaml").read_bytes() == config
    assert not (undisturbed / "logs").exists()


def test_another_run_directory_goes_on_from_a_checkpoint(undisturbed: Path, tmp_path: Path) -> None:
    checkpoint = undisturbed / "ckpt" / "step_00000056"
    command = alone(tmp_path / "run", "lenet5", *SMALL, "--resume", str(checkpoint))
    finish(command, tmp_path / "log")
    assert (
        records(tmp_path / "run", "end")[0]["accuracy"]
        == records(undisturbed, "end")[0]["accuracy"]
    )
    assert records(tmp_path / "run", "train")[0]["step"] == 57


def kill_ranks(run_dir: Path, log: Path, command: list[str], steps: tuple[int, ...]) -> None:
    """Kill a rank at each of the steps, each time another one; the launcher starts all again."""
    with started(command, log) as process:
        for attempt, step in enumerate(steps):
            wait_until(
                lambda attempt=attempt, step=step: (  # type: ignore[misc]
                    len(pids(run_dir, attempt)) == 2 and last_step(run_dir) >= step
                ),
                process,
            )
            os.kill(pids(run_dir, attempt)[attempt % 2], signal.SIGKILL)
        assert process.wait(LIMIT_S) == 0, log.read_text()


def test_two_ranks_of_which_one_is_killed_end_as_if_it_had_not_been(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    command = trainer("lenet5", *SMALL)
    finish(launched(one, 2, command=command), tmp_path / "log_one")
    restarting = launched(two, 2, "--max-restarts", 1, command=command)
    kill_ranks(two, tmp_path / "log_two", restarting, (28,))
    assert_same_run(one, two)


@pytest.mark.slow
def test_batch_norm_and_averages_of_two_ranks_go_on_exactly(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    options = ("model.name=resnet20", "train.max_steps=30", "train.ema_decay=0.9", "train.amp=O2")
    command = trainer("quickstart", *SMALL, *options)
    finish(launched(one, 2, command=command), tmp_path / "log_one")
    restarting = launched(two, 2, "--max-restarts", 2, command=command)
    kill_ranks(two, tmp_path / "log_two", restarting, (9, 18))
    assert_same_run(one, two)


def stop_at(step: int, command: list[str], log: Path, run_dir: Path) -> subprocess.Popen[bytes]:
    with started(command, log) as process:
        wait_until(lambda: last_step(run_dir) >= step, process)
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
    return process


def test_two_ranks_stop_after_one_step_and_the_launcher_says_143(tmp_path: Path) -> None:
    run_dir, log = tmp_path / "run", tmp_path / "log"
    command = launched(run_dir, 2, command=trainer("lenet5", *SMALL, "train.epochs=40"))
    assert stop_at(30, command, log, run_dir).returncode == 143, log.read_text()
    said = [
        (run_dir / "logs" / "attempt_0" / f"rank_{rank}.log").read_text().splitlines()[-1]
        for rank in (0, 1)
    ]
    assert said[1].startswith("stopped by SIGTERM after step ")
    assert said[0].startswith(said[1])
    newest = sorted((run_dir / "ckpt").glob("step_*"))[-1]
    assert said[0].split()[5].rstrip(";") == str(int(newest.name.removeprefix("step_")))
    killed = [one for one in lines(run_dir / "events.jsonl") if one["event"] == "kill"]
    assert killed == []


@pytest.mark.slow
def test_other_numbers_of_ranks_go_on_with_the_same_curve(tmp_path: Path) -> None:
    small = (*SMALL, "data.global_batch_size=30", "monitor.log_interval=1")
    whole = tmp_path / "whole"
    finish(launched(whole, 2, command=trainer("lenet5", *small)), tmp_path / "log")
    expected = [record["loss"] for record in records(whole, "train")]
    checkpoint = whole / "ckpt" / "step_00000042"
    assert checkpoint.is_dir()
    for ranks in (1, 3):
        run_dir = tmp_path / f"on_{ranks}"
        command = trainer("lenet5", *small, "--resume", checkpoint)
        said = finish(launched(run_dir, ranks, command=command), tmp_path / f"log_{ranks}")
        assert f"2 ranks before, {ranks} now" in said
        found = records(run_dir, "train")
        assert [record["step"] for record in found] == list(range(43, 64))
        np.testing.assert_allclose([one["loss"] for one in found], expected[42:], rtol=2e-3)


@pytest.mark.slow
def test_another_global_batch_is_refused(tmp_path: Path) -> None:
    one = tmp_path / "one"
    finish(alone(one, "lenet5", *SMALL, "train.max_steps=4"), tmp_path / "log")
    said = finish(
        alone(one, "lenet5", *SMALL, "data.global_batch_size=64"), tmp_path / "log2", expected=2
    )
    assert "global batch: 32 in the checkpoint (1 ranks), 64 now" in said
