"""What saving costs the training loop: pairs of runs that save and do not, and what was waited for.

Two numbers, for neither tells all. What the loop waits for (saving_s of the end record: the check
and the copy of the weights, the save before) leaves out that the thread that writes takes a core
meanwhile; a pair of runs has that too, but no machine runs twice equally fast: the verdict is on
what the loop waits for, and on the pairs as far as they tell.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from job import Job, finish, require
from verdict import Verdict

from tests.e2e.killing import lines

LIMIT = 0.02
STEPS, INTERVAL = 60, 20
FEWEST_PAIRS = 3
"""With fewer, what pairs differ by is told, not judged."""

LIMIT_S = 1800.0
COMMON = (
    "train.amp=O0",
    "data.source=synthetic",
    "data.synthetic_train_images=6400",
    "data.synthetic_test_images=64",
    "data.global_batch_size=64",
    "eval.in_mid_epoch=false",
    "monitor.tensorboard=false",
    "monitor.drift_interval_steps=null",
    f"monitor.log_interval={INTERVAL}",
    "checkpoint.interval_epochs=null",
    f"train.max_steps={STEPS}",
    "train.epochs=1",
)
"""In float32: without an NPU float16 makes a step twice as long, and the same cost look smaller."""

WAYS = {"saving": (f"checkpoint.interval_steps={INTERVAL}",), "not": ()}
"""All save after the last step: of those that otherwise do not, it does not count."""


def cost(work: Path, pairs: int) -> Verdict:
    """Train ResNet-18 with checkpoints and without in turn, and compare.

    Args:
        work: where runs are made.
        pairs: of runs; the order within a pair alternates.
    """
    verdict = Verdict(f"ResNet-18 saved every {INTERVAL} steps: costs the loop less than 2 %")
    waited: list[float] = []
    loops: dict[str, list[float]] = {way: [] for way in WAYS}

    def trial(number: int) -> None:
        for way in sorted(WAYS, reverse=bool(number % 2)):
            end = _end_of(Job(work / "cost" / f"{way}_{number}", 1, (*COMMON, *WAYS[way])))
            loops[way].append(end["train_s"])
            if way == "saving":
                loops[way][-1] += end["saving_s"]
                waited.append(end["saving_s"] / loops[way][-1])
            print(f"      {way} {number}: {STEPS} steps in {loops[way][-1]:.2f} s", flush=True)
        require(waited[-1] < LIMIT, f"pair {number}: the loop waited {100 * waited[-1]:.2f} %")

    for number in range(pairs):
        verdict.attempt(lambda number=number: trial(number))
    if waited:
        verdict.note = f"the loop waits {100 * statistics.median(waited):.2f} %"
    if len(loops["not"]) == len(loops["saving"]) == pairs:
        verdict.note += f"; {_compared(loops['saving'], loops['not'], verdict.failures)}"
    return verdict


def _end_of(job: Job) -> dict[str, Any]:
    finish(Job(job.run_dir, job.nproc, job.overrides, "none", "resnet18.yaml"), limit_s=LIMIT_S)
    return next(one for one in lines(job.run_dir / "metrics.jsonl") if one["event"] == "end")


def _compared(saving: list[float], without: list[float], failures: list[str]) -> str:
    """Return what the pairs say; it is a failure where they tell of more than the limit."""
    ratios = [one / other - 1 for one, other in zip(saving, without, strict=True)]
    spread = (max(without) - min(without)) / statistics.median(without)
    median = statistics.median(ratios)
    said = f"pairs differ by {100 * median:+.2f} % (equal runs by {100 * spread:.1f} %)"
    if len(ratios) >= FEWEST_PAIRS and median > max(LIMIT, spread):
        failures.append(said)
    return said
