"""The section of the ranks: their step times and their last signs of life."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launcher.report.charts import Axes, Point, Series, curves
from launcher.report.markup import escape, note, table
from launcher.report.numbers import clock, count
from launcher.report.run import Run, TrainPoint
from launcher.report.training import points

MOST_RANKS = 200
MOST_RANK_CURVES = 8
_MS = Axes("ms", y_least=0)


def ranks_section(run: Run) -> str:
    """Return step times per rank, and the last sign of life of each; "" where there is neither."""
    if not run.signs and not run.metrics.train:
        return ""
    parts = [_rank_times(run.metrics.train)]
    if run.signs:
        rows = [
            (
                str(sign.rank),
                escape(sign.phase or "-"),
                count(sign.epoch),
                count(sign.step),
                "-" if sign.step_ms is None else f"{sign.step_ms:.1f} ms",
                count(sign.images_per_s),
                escape(clock(sign.time_s)),
            )
            for sign in run.signs[:MOST_RANKS]
        ]
        head = ("rank", "phase", "epoch", "step", "step time", "images/s", "last sign of life")
        parts.append(table(head, rows, numbers=(0, 2, 3, 4, 5), kind="tight"))
        if len(run.signs) > MOST_RANKS:
            parts.append(note(f"and {len(run.signs) - MOST_RANKS:,} more ranks"))
    else:
        parts.append(note("progress/ holds no sign of life: ranks that write none are not shown."))
    return "".join(parts)


def _rank_times(train: Sequence[TrainPoint]) -> str:
    timed = [one for one in train if one.rank_step_ms]
    if not timed:
        only = points(train, lambda one: one.step_ms)
        drawn = _one(curves("Step time of rank 0", [Series("rank 0", only)], _MS))
        words = "No step times per rank are recorded"
        return drawn + note(f"{words}; rank 0's are shown." if drawn else f"{words}.")
    ranks = max(len(one.rank_step_ms) for one in timed)
    if ranks <= MOST_RANK_CURVES:
        series = [Series(f"rank {r}", _of_rank(timed, r), r) for r in range(ranks)]
    else:
        series = _spread(timed)
    drawn = _one(curves("Step time per rank", series, _MS))
    return drawn + note(_slowest(timed, ranks))


def _one(picture: str) -> str:
    """Keep a single curve as narrow as it is beside another one."""
    return f'<div class="one">{picture}</div>' if picture else ""


def _of_rank(timed: Sequence[TrainPoint], rank: int) -> list[Point]:
    return points(
        timed, lambda one: one.rank_step_ms[rank] if rank < len(one.rank_step_ms) else None
    )


def _spread(timed: Sequence[TrainPoint]) -> list[Series]:
    """Return the slowest, the median and the fastest rank: of many ranks the outliers matter."""

    def at(share: float) -> Callable[[TrainPoint], float | None]:
        def value(point: TrainPoint) -> float | None:
            known = sorted(one for one in point.rank_step_ms if one is not None)
            return known[round(share * (len(known) - 1))] if known else None

        return value

    names = (("slowest rank", 1.0, 1), ("median", 0.5, 0), ("fastest rank", 0.0, 2))
    return [Series(name, points(timed, at(share)), style) for name, share, style in names]


def _slowest(timed: Sequence[TrainPoint], ranks: int) -> str:
    """Return which rank was slowest over the run, compared with the mean of all."""
    means = {}
    for rank in range(ranks):
        known = [ms for _, ms in _of_rank(timed, rank)]
        if known:
            means[rank] = sum(known) / len(known)
    if not means or not sum(means.values()):
        return "No rank has a step time."
    slowest = max(means, key=lambda rank: means[rank])
    mean = sum(means.values()) / len(means)
    more = means[slowest] / mean - 1
    return f"Slowest: rank {slowest}, {means[slowest]:.1f} ms per step, {more:.1%} above the mean."
