"""Run directories for the tests of report and status, written as a launcher and a trainer would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launcher.contract import FailureRecord, Progress, RunPaths, write_record

START_S = 1_795_000_000.0
NASTY = '<script>alert("x")</script>'


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")


def train_line(step: int, **more: Any) -> dict[str, Any]:
    values = {
        "event": "train", "epoch": 1, "step": step, "loss": 2.0 / step, "lr": 0.1,
        "images_per_s": 1000.0, "step_ms": 50.0, "data_wait_ms": 5.0, "loss_scale": 1.0,
        "world_size": 2,
    }  # fmt: skip
    return {**values, **more}


def eval_line(step: int, names: tuple[str, str] = ("cat", "dog"), **more: Any) -> dict[str, Any]:
    rows = [
        {"name": name, "support": 5, "predicted": 5, "precision": 0.8, "recall": 0.8, "f1": 0.8}
        for name in names
    ]
    values = {
        "event": "eval", "epoch": 1, "step": step, "count": 10, "loss": 0.5, "accuracy": 0.8,
        "confusion_matrix": [[4, 1], [1, 4]], "per_class": rows, "eval_s": 0.5,
    }  # fmt: skip
    return {**values, **more}


def event_line(after_s: float, event: str, **more: Any) -> dict[str, Any]:
    return {"time": START_S + after_s, "event": event, "attempt": 0, **more}


def manifest(**more: Any) -> dict[str, Any]:
    values = {
        "command": ["python", "-m", "launcher", "--nproc", "2"],
        "host": "node-a",
        "python": "3.11.7",
        "versions": {"mindspore": "2.10.0"},
        "plan": {"job_id": "job-1", "world_size": 2, "device_target": "CPU"},
        "start": "2026-11-18T10:00:00.000+0000",
        "end": None,
        "exit_code": None,
    }
    return {**values, **more}


def write_manifest(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest(**more)), encoding="utf-8")


def good_run(folder: Path, names: tuple[str, str] = ("cat", "dog")) -> Path:
    """A run of two ranks that was trained to its end."""
    write_manifest(
        folder, end="2026-11-18T10:00:30.000+0000", exit_code=0, root_cause_rank=None,
        reason="success",
    )  # fmt: skip
    (folder / "config.yaml").write_text("model:\n  name: lenet5\ntrain:\n  epochs: 2\n")
    write_lines(folder / "events.jsonl", [
        event_line(0, "spawn", rank=0, pid=11),
        event_line(0, "spawn", rank=1, pid=12),
        event_line(30, "exit", rank=0, pid=11, returncode=0, signalled=False),
        event_line(30, "exit", rank=1, pid=12, returncode=0, signalled=False),
        event_line(30, "verdict", exit_code=0, root_cause_rank=None, reason="success"),
    ])  # fmt: skip
    end = {"event": "end", "accuracy": 0.8, "best_accuracy": 0.8, "train_s": 5.0, "compile_s": 2.0}
    write_lines(folder / "metrics.jsonl", [
        *(train_line(step, rank_step_ms=[50.0, 60.0]) for step in range(10, 101, 10)),
        eval_line(100, names),
        {"event": "checkpoint", "step": 100, "path": "ckpt/step_100"},
        end,
    ])  # fmt: skip
    write_signs(folder, step=100, phase="done")
    return folder


def failed_run(folder: Path) -> Path:
    """A run of any script, in which rank 1 raised an exception."""
    write_manifest(
        folder, end="2026-11-18T10:00:03.000+0000", exit_code=1, root_cause_rank=1,
        reason="failure",
    )  # fmt: skip
    write_lines(folder / "events.jsonl", [
        event_line(0, "spawn", rank=0, pid=11),
        event_line(0, "spawn", rank=1, pid=12),
        event_line(2, "exit", rank=1, pid=12, returncode=1, signalled=False),
        event_line(2, "failure", rank=1, returncode=1),
        event_line(3, "exit", rank=0, pid=11, returncode=-15, signalled=True),
        event_line(3, "verdict", exit_code=1, root_cause_rank=1, reason="failure"),
    ])  # fmt: skip
    paths = RunPaths(folder)
    trace = f"Traceback (most recent call last):\nValueError: {NASTY}\n"
    write_record(FailureRecord(1, "ValueError", NASTY, trace, host="node-a"), paths.failure(0, 1))
    log = paths.log(0, 1)
    log.parent.mkdir(parents=True)
    log.write_text(f"\x1b[31mred\x1b[0m {NASTY}\n")
    return folder


def running_run(folder: Path, *, now_s: float) -> Path:
    """A run that goes on: no end in the manifest, a line that is being written."""
    write_manifest(folder)
    write_lines(folder / "events.jsonl", [event_line(0, "spawn", rank=0, pid=11)])
    write_lines(folder / "metrics.jsonl", [train_line(10), train_line(20)])
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"event": "train", "ste')
    write_signs(folder, step=20, phase="train", time_s=now_s)
    return folder


def write_signs(folder: Path, *, step: int, phase: str, time_s: float = START_S + 30) -> None:
    for rank in range(2):
        write_record(Progress(rank, phase, 1, step, time_s), RunPaths(folder).progress(rank))
