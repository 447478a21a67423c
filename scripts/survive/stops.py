"""Runs that are asked to stop by SIGTERM at random moments."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from job import Job, TrialFailed, damaged, differences, finish, require
from kills import TRIES, interrupt, undisturbed
from verdict import Verdict

from cifar_dist.checkpoint.store import list_checkpoints
from tests.e2e.killing import lines

GRACE_S = 20.0
"""The launcher's default."""

_SAID = re.compile(r"^stopped by SIGTERM after step (\d+)", re.MULTILINE)


def stopped(work: Path, trials: int, *, seed: int) -> Verdict:
    """Stop runs on one and on two ranks in turn; each is then gone on with."""
    verdict = Verdict("SIGTERM at random moments: one common step saved, exit code 143 in time")
    slowest = [0.0]
    for number in range(trials):
        nproc = 1 + number % 2
        dice = random.Random(f"{seed} stop {number}")
        job = Job(work / f"stopped_{number}", nproc)
        whole = undisturbed(work, nproc)
        verdict.attempt(lambda job=job, whole=whole, dice=dice: _stop(job, whole, dice, slowest))
        if not verdict.failures:
            shutil.rmtree(job.run_dir)
    verdict.note = f"longest {slowest[0]:.1f} s of {GRACE_S:g}"
    return verdict


def _stop(job: Job, whole: Path, dice: random.Random, slowest: list[float]) -> str:
    def end(launcher: subprocess.Popen[bytes]) -> None:
        begin = time.monotonic()
        launcher.send_signal(signal.SIGTERM)
        code = launcher.wait(60)
        took_s = time.monotonic() - begin
        slowest[0] = max(slowest[0], took_s)
        require(code == 143, f"{job.run_dir}: exit code {code} instead of 143")
        require(took_s < GRACE_S, f"{job.run_dir}: took {took_s:.1f} s")

    for _ in range(TRIES):
        if met := interrupt(job, dice, end):
            break
        shutil.rmtree(job.run_dir)
    else:
        raise TrialFailed(f"{job.run_dir}: ended {TRIES} times before it was stopped")
    step = _common_step(job)
    require(not damaged(job.run_dir), f"{job.run_dir}: damaged {damaged(job.run_dir)}")
    finish(job)
    require(not (found := differences(whole, job.run_dir)), "; ".join(found))
    return met if step else f"{met}, before the first step"


def _common_step(job: Job) -> int:
    """Return the step after which all ranks stopped and which is saved; 0: before the first."""
    events = lines(job.run_dir / "events.jsonl")
    require(not any(one["event"] == "kill" for one in events), f"{job.run_dir}: SIGKILL was needed")
    logs = [job.run_dir / "logs" / "attempt_0" / f"rank_{rank}.log" for rank in range(job.nproc)]
    said = [_SAID.findall(log.read_text(errors="replace")) if log.exists() else [] for log in logs]
    saved = [int(path.name[5:]) for path in list_checkpoints(job.run_dir / "ckpt")]
    if not any(said):
        require(not saved, f"{job.run_dir}: no rank says where it stopped, {saved} are saved")
        return 0
    steps = {steps[-1] if steps else None for steps in said}
    require(len(steps) == 1, f"{job.run_dir}: ranks stopped after steps {steps}")
    step = int(steps.pop() or 0)
    require(saved[-1:] == [step], f"{job.run_dir}: stopped after {step}, {saved} are saved")
    return step
