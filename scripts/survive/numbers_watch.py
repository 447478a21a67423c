"""Numbers that go wrong on one of two ranks: found in time, with the right rank."""

from __future__ import annotations

import json
from pathlib import Path

from job import SMALL, Job, differences, finish, kill_all, require, started, wait_for
from verdict import Verdict

from tests.e2e.conftest import ROOT
from tests.e2e.killing import lines

SCRIPT = ROOT / "tests" / "e2e" / "scripts" / "train_with_fault.py"
INTERVAL = 5
RANKS = 2
LEFT_OUT_STEP = 13
OVERRIDES = (
    *SMALL,
    "data.loader=mindspore",
    "data.crop_padding_mode=mean",
    f"monitor.log_interval={INTERVAL}",
    f"monitor.drift_interval_steps={INTERVAL}",
    "train.epochs=2",
)
"""The loader is the one whose images are floats: bytes cannot be NaN."""


def _job(run_dir: Path, fault: str, rank: int, step: int) -> Job:
    script = (str(SCRIPT), fault, str(rank), str(step))
    return Job(run_dir, RANKS, OVERRIDES, script=script)


def poison(work: Path, trials: int) -> Verdict:
    verdict = Verdict("a batch of NaN pixels: found within the interval, rank and images named")
    for number in range(trials):
        job = _job(work / "poison" / str(number), "poison", number % RANKS, 3 + number)
        verdict.attempt(lambda job=job, number=number: _found(job, "loss", number))
    return verdict


def drift(work: Path, trials: int) -> Verdict:
    verdict = Verdict("one changed weight on one rank: found within the interval, and named")
    for number in range(trials):
        job = _job(work / "drift" / str(number), "drift", number % RANKS, 3 + number)
        verdict.attempt(lambda job=job, number=number: _found(job, "drift", number))
    return verdict


def _found(job: Job, kind: str, number: int) -> str:
    said = finish(job, expected=1)
    require("Traceback" not in said, f"{job.log} has a traceback")
    reports = sorted((job.run_dir / "report").glob("bad_numbers_step_*.json"))
    require(len(reports) == 1, f"{job.run_dir}: {len(reports)} reports")
    report = json.loads(reports[0].read_text())
    require(report["kind"] == kind, f"{job.run_dir}: {report['kind']}")
    step, rank = 3 + number, number % RANKS
    if kind == "loss":
        require(report["step"] == step, f"{job.run_dir}: step {report['step']}, not {step}")
    late = report["step"] - step
    require(0 <= late < INTERVAL, f"{job.run_dir}: found after step {report['step']}")
    reached = max(one["step"] for one in lines(job.run_dir / "metrics.jsonl"))
    require(reached < step + INTERVAL, f"{job.run_dir}: it went on until step {reached}")
    # Of two ranks with other weights none is right by vote.
    named = [rank] if kind == "loss" else [0, 1]
    require(report["ranks"] == named, f"{job.run_dir}: ranks {report['ranks']}, not {named}")
    images = {image for of_rank in report["images"].values() for image in of_rank}
    require(len(images) == 32, f"{job.run_dir}: {len(images)} images")
    return f"rank {rank}"


def left_out(work: Path, trials: int) -> Verdict:
    """Let runs go back and leave the poisoned batch out; all but the first are killed once."""
    verdict = Verdict("on_bad_numbers=skip: goes back, leaves out one batch, killed too; then ends")
    options = ("monitor.on_bad_numbers=skip", "checkpoint.interval_steps=4")
    whole = _job(work / "skip" / "whole", "poison", 1, LEFT_OUT_STEP).plus(*options)
    verdict.attempt(lambda: _left_out(whole, finish(whole)))
    for number in range(trials):
        job = _job(work / "skip" / f"killed_{number}", "poison", 1, LEFT_OUT_STEP).plus(*options)
        verdict.attempt(lambda job=job, number=number: _killed(job, whole.run_dir, number))
    return verdict


def _left_out(job: Job, said: str) -> None:
    require("Traceback" not in said, f"{job.log} has a traceback")
    require("going back" in said, f"{job.log} does not say that it goes back")
    found = [one for one in lines(job.run_dir / "metrics.jsonl") if one["event"] == "left_out"]
    steps = [one["step"] for one in found]
    require(steps == [LEFT_OUT_STEP], f"{job.run_dir}: left out {steps}")


def _killed(job: Job, whole: Path, number: int) -> str:
    """Kill all of a run on its way back or soon after, and go on with it."""
    moments = {
        "going back": lambda: (job.run_dir / "ckpt" / "left_out.json").exists(),
        "after it": lambda: any(
            one["event"] == "left_out" for one in lines(job.run_dir / "metrics.jsonl")
        ),
    }
    met = list(moments)[number % len(moments)]
    with started(job) as launcher:
        require(wait_for(moments[met], launcher), f"{job.run_dir} ended before it was killed")
        kill_all(launcher)
    _left_out(job, finish(job))
    require(not (found := differences(whole, job.run_dir)), "; ".join(found))
    return met
