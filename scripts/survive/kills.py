"""Runs that are killed at random moments, and end as if they had not been."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from job import (
    Job,
    TrialFailed,
    damaged,
    differences,
    finish,
    kill_all,
    phase,
    require,
    started,
    wait_for,
    workers,
)
from verdict import Verdict

from tests.e2e.killing import last_step

End = Callable[[subprocess.Popen[bytes]], None]
"""Ends a launcher one way or another."""

WHO = ("worker", "launcher", "all")
LAST_STEP = 120
LATEST_S = 12.0
"""By the clock most such runs are joining, compiling or in their first epochs then."""

TRIES = 3


def undisturbed(work: Path, nproc: int) -> Path:
    """Return the run directory of a run that nobody ends."""
    job = Job(work / f"undisturbed_{nproc}", nproc)
    if not job.run_dir.exists():
        finish(job)
    return job.run_dir


def killed(work: Path, nproc: int, trials: int, *, seed: int) -> Verdict:
    """Kill runs with SIGKILL, each once: a worker, the launcher, all at once in turn."""
    verdict = Verdict(f"killed with SIGKILL at random moments, {nproc} rank(s), bit for bit")
    whole = undisturbed(work, nproc)
    for number in range(trials):
        dice = random.Random(f"{seed} {nproc} {number}")
        job = Job(work / f"killed_{nproc}_{number}", nproc)
        who = WHO[number % len(WHO)]
        verdict.attempt(lambda job=job, who=who, dice=dice: _kill_once(job, whole, who, dice))
        if not verdict.failures:
            shutil.rmtree(job.run_dir)
    return verdict


def _kill_once(job: Job, whole: Path, who: str, dice: random.Random) -> str:
    for _ in range(TRIES):
        if met := interrupt(job, dice, lambda launcher: _kill(launcher, who, dice)):
            break
        shutil.rmtree(job.run_dir)
    else:
        raise TrialFailed(f"{job.run_dir}: ended {TRIES} times before it was killed")
    require(not damaged(job.run_dir), f"{job.run_dir}: damaged {damaged(job.run_dir)}")
    said = finish(job)
    require("Traceback" not in said.partition("resume ")[2], f"{job.log} has a traceback")
    require(not (found := differences(whole, job.run_dir)), "; ".join(found))
    return f"{who} in {met}"


def interrupt(job: Job, dice: random.Random, end: End) -> str:
    """Start a job and end it at a random moment.

    A third of the moments are by the clock from the start, the others by the step.

    Args:
        job: what is started.
        dice: where the moment comes from.
        end: is called with the launcher's process.

    Returns:
        what rank 0 did at that moment; empty where the run was faster.
    """
    by_clock = dice.random() < 1 / 3
    delay_s = dice.uniform(0, LATEST_S) if by_clock else dice.uniform(0, 0.1)
    step = 0 if by_clock else dice.randrange(1, LAST_STEP - 3)
    with started(job) as launcher:
        if step and not wait_for(lambda: last_step(job.run_dir) >= step, launcher):
            return ""
        threading.Event().wait(delay_s)
        if launcher.poll() is not None:
            return ""
        met = phase(job.run_dir)
        end(launcher)
        launcher.wait(60)
    return met if met != "done" else "its end"


def _kill(launcher: subprocess.Popen[bytes], who: str, dice: random.Random) -> None:
    if who == "all":
        kill_all(launcher)
        return
    alive = workers(launcher) if who == "worker" else []
    if alive:
        dice.choice(alive).send_signal(signal.SIGKILL)
    else:
        launcher.kill()
