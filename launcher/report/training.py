"""The sections of training over time: curves, and where the time went."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launcher.report.charts import Axes, Point, Series, curves
from launcher.report.markup import escape, figure, note, table
from launcher.report.numbers import percent, seconds
from launcher.report.run import EvalPoint, Run, TrainPoint
from launcher.report.times import Part, split


def points(train: Sequence[TrainPoint], value: Callable[[TrainPoint], float | None]) -> list[Point]:
    """Return (step, value) wherever there is a value."""
    pairs = ((point.step, value(point)) for point in train)
    return [(float(step), found) for step, found in pairs if found is not None]


def eval_points(
    evals: Sequence[EvalPoint], value: Callable[[EvalPoint], float | None]
) -> dict[str, list[Point]]:
    """Return the points of each kind of evaluation, under a name such as "test" or "test (ema)"."""
    found: dict[str, list[Point]] = {}
    for one in evals:
        y = value(one)
        if y is not None:
            name = one.split if one.weights == "last" else f"{one.split} ({one.weights})"
            found.setdefault(name, []).append((float(one.step), y))
    return found


def curves_section(run: Run) -> str:
    train, evals = run.metrics.train, run.metrics.evals
    losses = [Series("train", points(train, lambda one: one.loss), 0)]
    losses += _of_evals(eval_points(evals, lambda one: one.loss))
    accuracies = _of_evals(eval_points(evals, lambda one: _percent(one.accuracy)))
    figures = [
        curves("Loss", losses, Axes("loss", y_least=0)),
        curves("Accuracy", accuracies, Axes("accuracy, %")),
        curves("Learning rate", [Series("lr", points(train, lambda one: one.lr))],
               Axes("learning rate", y_least=0)),
        curves("Throughput", [Series("images/s", points(train, lambda one: one.images_per_s))],
               Axes("images/s, all ranks", y_least=0)),
    ]  # fmt: skip
    lost = sum(one.loss is None for one in train)
    more = note(f"{lost:,} records have no loss: it was not finite.") if lost else ""
    return f'<div class="grid2">{"".join(figures)}</div>{more}'


def _of_evals(found: dict[str, list[Point]]) -> list[Series]:
    return [
        Series(name, one, style, marks=True)
        for style, (name, one) in enumerate(list(found.items())[:6], start=1)
    ]


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def time_section(run: Run) -> str:
    parts = split(run)
    if not parts:
        return note("No times are recorded.")
    total = sum(part.seconds for part in parts)
    rows = [
        (
            f'<span class="dot k{part.style}"></span>{escape(part.name)}',
            seconds(part.seconds),
            percent(part.seconds / total, 1),
        )
        for part in parts
    ]
    head = ("part", "time", "share")
    picture = figure("Where the time went (rank 0)", _stacked(parts, total))
    return picture + table(head, rows, numbers=(1, 2), kind="slim") + _untold(run)


def _stacked(parts: Sequence[Part], total: float) -> str:
    x, made = 0.0, []
    for part in parts:
        width = 1000 * part.seconds / total
        words = escape(f"{part.name}: {seconds(part.seconds)}")
        made.append(
            f'<rect class="b{part.style}" x="{x:.2f}" width="{max(width - 2, 0.5):.2f}" '
            f'height="26"><title>{words}</title></rect>'
        )
        x += width
    return (
        '<svg class="bar" viewBox="0 0 1000 26" preserveAspectRatio="none" role="img" '
        f'aria-label="Shares of the time">{"".join(made)}</svg>'
    )


def _untold(run: Run) -> str:
    """Return what the parts do not show: communication within a step, work beside the steps."""
    metrics, words = run.metrics, []
    if metrics.train and (run.world_size or 2) > 1:
        words.append(
            "The exchange of gradients is within the compiled step, from which it cannot be told; "
            "what rank 0 waited for slower ranks is."
        )
    if metrics.checkpoint_s is not None:
        beside = f"{metrics.checkpoints:,} in {seconds(metrics.checkpoint_s)}"
        words.append(f"Checkpoints are written while training goes on: {beside}.")
    return note(" ".join(words)) if words else ""
