"""Whole runs through real commands, with real MindSpore ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = Path(__file__).resolve().parent / "scripts"
LIMIT_S = 400

Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(
    arguments: Sequence[object], *, cwd: Path, limit_s: float = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed; ``python`` is the one that tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
    )


def launch(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m launcher`` on the CPU."""
    command = [sys.executable, "-m", "launcher", "--device-target", "CPU", *arguments]
    return run_command(command, cwd=cwd)


def records(run_dir: Path, event: str) -> list[dict[str, Any]]:
    """Return the records of one kind of a run."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["event"] == event]


def succeed(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return a command that ended well; show all of it otherwise."""
    if done.returncode != 0:
        pytest.fail(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


def train_and_digest(run_dir: Path, nproc: int, *arguments: str) -> dict[int, dict[str, str]]:
    """Train and return the digests of each rank's parameters."""
    script = SCRIPTS / "train_and_digest.py"
    options = ("--nproc", nproc, "--run-dir", run_dir, "--", script)
    succeed(launch(*options, *arguments, cwd=run_dir.parent))
    found: dict[int, dict[str, str]] = {}
    for rank in range(nproc):
        found[rank] = json.loads((run_dir / f"digests_{rank}.json").read_text())
    return found
