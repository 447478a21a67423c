"""Runs of the real launcher: started, ended by force, gone on with, compared."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from cifar_dist.errors import CheckpointError
from tests.e2e import killing
from tests.e2e.killing import without_times

LIMIT_S = 300.0
_LOOK_S = 0.003

SMALL = (*killing.SMALL, "train.epochs=6")
"""120 steps of LeNet-5, 15 checkpoints, 6 evaluations: some seconds after it has compiled."""


class TrialFailed(Exception):
    """A trial that did not hold; its text says what was seen."""


@dataclass(frozen=True)
class Job:
    """A run and how it is started; started again, it goes on."""

    run_dir: Path
    nproc: int = 1
    overrides: tuple[str, ...] = SMALL
    resume: str = "auto"
    recipe: str = "lenet5.yaml"
    script: tuple[str, ...] = ()

    def plus(self, *overrides: str) -> Job:
        return replace(self, overrides=(*self.overrides, *overrides))

    @property
    def log(self) -> Path:
        """What the launcher prints, of all starts; beside the run directory."""
        return self.run_dir.with_name(f"{self.run_dir.name}.log")

    @property
    def command(self) -> list[str]:
        launcher = [sys.executable, "-m", "launcher", "--device-target", "CPU"]
        where = ["--nproc", str(self.nproc), "--run-dir", str(self.run_dir)]
        script = ["--", *self.script] if self.script else []
        train = ["--config", self.recipe, *self.overrides]
        return [*launcher, *where, "--resume", self.resume, *script, *train]


@contextmanager
def started(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """Run a job's launcher in a session of its own; what it prints is appended to its log."""
    job.run_dir.parent.mkdir(parents=True, exist_ok=True)
    with killing.started(job.command, job.log) as process:
        yield process


def finish(job: Job, *, expected: int = 0, limit_s: float = LIMIT_S) -> str:
    """Run a job to its end; return all that its launcher ever said."""
    with started(job) as process:
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TrialFailed(f"{job.run_dir} has not ended after {limit_s:g} s") from None
    said = job.log.read_text(errors="replace")
    if code != expected:
        raise TrialFailed(f"{job.run_dir} ended with {code} instead of {expected}:\n{said[-2000:]}")
    return said


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait for what a process brings about; False where it has ended before."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline_s:
            raise TrialFailed(f"nothing happened for {LIMIT_S:g} s")
        threading.Event().wait(_LOOK_S)
    return True


def phase(run_dir: Path) -> str:
    """Return what rank 0 was last known to do."""
    try:
        found: str = json.loads((run_dir / "progress" / "rank_0.json").read_text())["phase"]
    except (OSError, ValueError, KeyError):
        return "start"
    return found


def workers(launcher: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the ranks of a launcher that are alive, in their order."""
    found = {}
    for child in _family(launcher.pid):
        try:
            environ = child.environ()
        except psutil.Error:
            continue
        if "RANK_ID" in environ and environ.get("MS_ROLE") != "MS_SCHED":
            found.setdefault(int(environ["RANK_ID"]), child)
    return [found[rank] for rank in sorted(found)]


def kill_all(launcher: subprocess.Popen[bytes]) -> None:
    """Kill a launcher and every process below it, as fast as signals can be sent."""
    for process in [*_family(launcher.pid), psutil.Process(launcher.pid)]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def differences(one: Path, other: Path) -> list[str]:
    """Return what is not equal bit for bit between the ends of two runs: records and state."""
    found = []
    records = [without_times(run) for run in (one, other)]
    if records[0] != records[1]:
        pairs = zip(*records, strict=False)
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), "the end")
        found.append(f"metrics.jsonl differs from line {first} on ({one}, {other})")
    states = [load_checkpoint(list_checkpoints(run / "ckpt")[-1]) for run in (one, other)]
    if states[0].step != states[1].step:
        found.append(f"the last steps are {states[0].step} and {states[1].step}")
    arrays = [state.arrays for state in states]
    for name in sorted(arrays[0].keys() | arrays[1].keys()):
        pair = [side[name].tobytes() if name in side else None for side in arrays]
        if pair[0] != pair[1]:
            found.append(f"{name} differs")
    return found


def damaged(run_dir: Path) -> list[str]:
    """Return the checkpoints of a run, by name, that cannot be read."""
    found = []
    for path in list_checkpoints(run_dir / "ckpt"):
        try:
            load_checkpoint(path)
        except CheckpointError:
            found.append(path.name)
    return found


def require(holds: bool, text: str) -> None:
    if not holds:
        raise TrialFailed(text)
