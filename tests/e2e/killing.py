"""Runs that are ended at a chosen moment, and what must be equal in those that were not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.checkpoint.store import find_checkpoint, load_checkpoint
from cifar_dist.observe.records import TIME_FIELDS
from tests.e2e.conftest import ROOT

LIMIT_S = 400.0
SMALL = (
    "data.source=synthetic",
    "data.synthetic_train_images=640",
    "data.synthetic_test_images=130",
    "data.global_batch_size=32",
    "eval.batch_size=32",
    "monitor.log_interval=3",
    "checkpoint.interval_steps=8",
    "train.epochs=3",
)


def trainer(recipe: str, *arguments: object) -> list[str]:
    """Return the command of one rank that goes on with its run directory, if it holds a run."""
    words = ("-m", "cifar_dist", "train", "--config", recipe, "--resume", "auto", *arguments)
    return [str(word) for word in words]


def alone(run_dir: Path, recipe: str, *overrides: str) -> list[str]:
    command = trainer(recipe, "--run-dir", run_dir, "--device-target", "CPU", *overrides)
    return [sys.executable, *command]


def launched(run_dir: Path, nproc: int, *options: object, command: Sequence[str]) -> list[str]:
    words = ("--nproc", nproc, "--run-dir", run_dir, "--device-target", "CPU", *options, "--")
    return [sys.executable, "-m", "launcher", *map(str, words), *command]


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own; what it prints is appended to a file."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT_S)


def finish(command: Sequence[str], log: Path, *, expected: int = 0) -> str:
    """Run a command to its end and return all that the file holds."""
    with started(command, log) as process:
        code = process.wait(LIMIT_S)
    said = log.read_text()
    assert code == expected, said
    return said


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], *, limit_s: float = LIMIT_S
) -> None:
    """Wait for something that a running process brings about."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert process.poll() is None, "the run has ended too soon"
        assert time.monotonic() < deadline_s, "the run takes too long"
        threading.Event().wait(0.005)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file that is being written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def last_step(run_dir: Path) -> int:
    trained = [one["step"] for one in lines(run_dir / "metrics.jsonl") if one["event"] == "train"]
    return max(trained, default=0)


def pids(run_dir: Path, attempt: int) -> dict[int, int]:
    """Return the process of each rank of an attempt that has been started."""
    return {
        event["rank"]: event["pid"]
        for event in lines(run_dir / "events.jsonl")
        if event["event"] == "spawn" and event["attempt"] == attempt and "rank" in event
    }


def without_times(run_dir: Path) -> list[dict[str, Any]]:
    """Return the records of a run without what no two runs have in common."""
    return [
        {key: value for key, value in record.items() if key not in TIME_FIELDS}
        for record in lines(run_dir / "metrics.jsonl")
    ]


def final_arrays(run_dir: Path) -> dict[str, NDArray[Any]]:
    return dict(load_checkpoint(find_checkpoint(run_dir)).arrays)


def assert_same_run(one: Path, other: Path) -> None:
    """Compare metrics.jsonl, and the last state of weights, optimizer and counters, bit for bit."""
    assert without_times(one) == without_times(other)
    first, second = final_arrays(one), final_arrays(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.tobytes() == second[name].tobytes(), name
        assert np.isfinite(array).all(), name
