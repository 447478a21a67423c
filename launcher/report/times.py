"""What the time of a run went into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from launcher.report.files import number
from launcher.report.run import Run, TrainPoint


@dataclass(frozen=True)
class Part:
    """A part of the time; ``style`` is the number of its colour."""

    name: str
    seconds: float
    style: int


def split(run: Run) -> list[Part]:
    """Return the parts that are recorded, and the rest where the whole is known."""
    metrics = run.metrics
    waits, steps, others = 0.0, 0.0, 0.0
    for point, taken in zip(metrics.train, _steps_taken(metrics.train), strict=True):
        wait, other = point.data_wait_ms or 0.0, _waited_for_others_ms(point)
        waits += taken * wait / 1000
        others += taken * other / 1000
        steps += taken * max((point.step_ms or 0.0) - wait - other, 0.0) / 1000
    parts = [
        Part("waiting for data", waits, 4),
        Part("step, with communication", steps, 0),
        Part("waiting for slower ranks", others, 6),
        Part("evaluation", sum(one.eval_s or 0.0 for one in metrics.evals), 1),
        Part("compilation", number(metrics.end.get("compile_s")) or 0.0, 2),
    ]
    known = [part for part in parts if part.seconds > 0]
    whole_s = duration(run)
    rest = (whole_s or 0.0) - sum(part.seconds for part in known)
    return [*known, Part("start, end and the rest", rest, 7)] if known and rest > 0 else known


def _waited_for_others_ms(point: TrainPoint) -> float:
    """Return what of a step rank 0 waited for slower ranks: its own time is told without that."""
    own = point.rank_step_ms[0] if point.rank_step_ms else None
    if own is None or point.step_ms is None:
        return 0.0
    return max(point.step_ms - max(own, point.data_wait_ms or 0.0), 0.0)


def _steps_taken(train: Sequence[TrainPoint]) -> list[int]:
    """Return the steps that each point stands for; a resumed run does not begin at step 0."""
    gaps = [after.step - before.step for before, after in pairwise(train)]
    return [min([train[0].step, *gaps[:1]]), *gaps] if train else []


def duration(run: Run) -> float | None:
    """Return how long a run took, or takes so far; None where that is not known."""
    if run.start_s is None:
        return None
    end_s = run.end_s
    if end_s is None:
        signs = [sign.time_s for sign in run.signs if sign.time_s is not None]
        end_s = max([*signs, *(event.time_s for event in run.events)], default=None)
    return None if end_s is None or end_s < run.start_s else end_s - run.start_s


def median_speed(run: Run) -> float | None:
    """Return the median of the images per second."""
    speeds = sorted(p.images_per_s for p in run.metrics.train if p.images_per_s is not None)
    return speeds[len(speeds) // 2] if speeds else None
