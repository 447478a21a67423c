"""A run on two ranks that goes on with one, and with three."""

from __future__ import annotations

from pathlib import Path

from job import SMALL, Job, finish, require
from verdict import Verdict

from tests.e2e.killing import lines

RANKS, OTHERS = 2, (1, 3)
SAVED_STEP = 64
TOLERANCE = 1e-4
"""Of a loss: sums over other parts of a batch are rounded otherwise, and steps carry it on."""

OVERRIDES = (*SMALL, "data.global_batch_size=30", "monitor.log_interval=1", "train.epochs=5")


def elastic(work: Path) -> Verdict:
    """Compare the loss curve of LeNet-5, which has no batch norm, with that of its own run."""
    verdict = Verdict(f"from {RANKS} ranks to {OTHERS}: the loss curve within float error")
    whole = Job(work / "elastic" / "whole", RANKS, (*OVERRIDES, "checkpoint.keep=100"))
    finish(whole)
    checkpoint = whole.run_dir / "ckpt" / f"step_{SAVED_STEP:08d}"
    largest = 0.0
    for nproc in OTHERS:
        job = Job(work / "elastic" / f"on_{nproc}", nproc, OVERRIDES, str(checkpoint))

        def trial(job: Job = job) -> str:
            nonlocal largest
            finish(job)
            error = _largest_error(_curve(whole), _curve(job))
            largest = max(largest, error)
            require(error < TOLERANCE, f"{job.run_dir}: a loss is off by {error:.2g} of itself")
            return f"{job.nproc} rank(s)"

        verdict.attempt(trial)
    verdict.note = f"largest error {largest:.1g} of a loss"
    return verdict


def _curve(job: Job) -> dict[int, float]:
    records = lines(job.run_dir / "metrics.jsonl")
    return {one["step"]: one["loss"] for one in records if one["event"] == "train"}


def _largest_error(whole: dict[int, float], found: dict[int, float]) -> float:
    wanted = {step: loss for step, loss in whole.items() if step > SAVED_STEP}
    require(found.keys() == wanted.keys(), f"steps {sorted(found)} instead of {sorted(wanted)}")
    return max(abs(found[step] - loss) / loss for step, loss in wanted.items())
