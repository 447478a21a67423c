"""Two ranks that wait for each other in every step: the one that is held up is named, not both."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launcher.contract import Progress, RunPaths, read_record
from tests.e2e.killing import LIMIT_S, SMALL, launched, lines, pids, started, trainer, wait_until

STOPPED_S = 1.2
LOGGED_STEPS = 6
"""Within so many there is a record of training, see SMALL."""


def test_of_two_training_ranks_the_one_stopped_again_and_again_is_named_within_ten_such_steps(
    tmp_path: Path,
) -> None:
    run_dir, log = tmp_path / "run", tmp_path / "log.txt"

    def step(rank: int) -> int:
        record = read_record(Progress, RunPaths(run_dir).progress(rank))
        return record.step if record is not None else 0

    def named() -> list[dict]:
        return [one for one in lines(run_dir / "events.jsonl") if one["event"] == "straggler"]

    rare = ("train.epochs=400", "checkpoint.interval_steps=8000", "checkpoint.interval_epochs=400")
    rare += ("eval.interval_epochs=400",)
    command = ["-m", "cifar_dist", *trainer("lenet5.yaml", *SMALL, *rare)[2:]]
    with started(launched(run_dir, 2, "--grace", "60", command=command), log) as process:
        wait_until(lambda: min(step(0), step(1)) > 2, process)
        pid, slow_steps = pids(run_dir, 0)[1], 0
        deadline_s = time.monotonic() + LIMIT_S
        while not named():
            assert time.monotonic() < deadline_s, log.read_text()
            slow_steps += 1
            before = step(1)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            # More than the stopped step may pass until this test gets a core: those were healthy.
            wait_until(lambda before=before: step(1) > before, process)
        (event,) = named()
        wait_until(lambda: step(0) > event["step"] + LOGGED_STEPS, process)
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT_S)
    assert event["rank"] == 1
    assert slow_steps <= 10
    assert event["stalled_share"] > 0.3
    assert "straggler: rank 1" in log.read_text()
    board = EventAccumulator(str(RunPaths(run_dir).tensorboard))
    board.Reload()
    shown = board.Tensors("ranks/stragglers/text_summary")[0]
    assert shown.step == event["step"]
    assert event["text"] in shown.tensor_proto.string_val[0].decode()
