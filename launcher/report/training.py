"""The sections of training: curves, speed, time, ranks, classes, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from launcher.report.charts import Axes, Point, Series, curves
from launcher.report.files import mapping, read_bytes, text
from launcher.report.markup import escape, figure, note, table
from launcher.report.matrix import MOST_WITH_NUMBERS, confused, matrix_figure
from launcher.report.numbers import clock, count, fixed, percent, seconds
from launcher.report.predictions import data_address, picture_of
from launcher.report.run import EvalPoint, Prediction, Run, TrainPoint
from launcher.report.times import Part, split

MOST_RANK_CURVES = 8
_MS = Axes("ms", y_least=0)
MOST_FACES = 12
MOST_CLASS_ROWS = 200
MOST_PICTURES = 6
MOST_PICTURE_BYTES = 600 << 10


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
    train, words = run.metrics.train, []
    if train and not any(one.communication_ms for one in train):
        words.append("communication is part of the step, from which it cannot be told here")
    if run.metrics.checkpoints and run.metrics.checkpoint_s is None:
        words.append("the time of checkpoints is not recorded and counts to the rest")
    return note("; ".join(words).capitalize() + ".") if words else ""


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
            for sign in run.signs[:MOST_CLASS_ROWS]
        ]
        head = ("rank", "phase", "epoch", "step", "step time", "images/s", "last sign of life")
        parts.append(table(head, rows, numbers=(0, 2, 3, 4, 5), kind="tight"))
        if len(run.signs) > MOST_CLASS_ROWS:
            parts.append(note(f"and {len(run.signs) - MOST_CLASS_ROWS:,} more ranks"))
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


def classes_section(run: Run) -> str:
    metrics = run.metrics
    if not metrics.matrix or metrics.counted is None:
        return note("No evaluation with a confusion matrix is recorded.")
    names = [row.name for row in metrics.classes]
    at = metrics.counted
    words = f"{at.split}, step {count(at.step)}, {count(at.count)} images"
    rows = [
        (
            escape(row.name),
            count(row.support),
            count(row.predicted),
            percent(row.precision, 1),
            percent(row.recall, 1),
            _meter(row.f1),
        )
        for row in metrics.classes[:MOST_CLASS_ROWS]
    ]
    head = ("class", "images", "taken for it", "precision", "recall", "F1")
    mistakes = [
        (f"{escape(truth)} &rarr; {escape(taken)}", count(n), percent(share, 1))
        for truth, taken, n, share in confused(metrics.matrix, names)
    ]
    most = (
        "<h3>Most frequent mistakes</h3>"
        + table(
            ("truth &rarr; prediction", "images", "of the class"),
            mistakes,
            numbers=(1, 2),
            kind="slim",
        )
        if mistakes
        else note("No image was taken for another class.")
    )
    wide = note("Many classes: cells are shaded, without numbers.")
    return (
        note(words)
        + matrix_figure(metrics.matrix, names)
        + (wide if len(names) > MOST_WITH_NUMBERS else "")
        + "<h3>Per class</h3>"
        + table(head, rows, numbers=(1, 2, 3, 4, 5))
        + most
    )


def _meter(share: float | None) -> str:
    if share is None:
        return "-"
    full = 100 * min(max(share, 0), 1)
    return f'{fixed(share, 3)}<span class="meter" style="--v:{full:.1f}%"></span>'


def predictions_section(run: Run) -> str:
    """Return the surest right and the surest wrong answers, and the pictures of report/."""
    parts = []
    if run.predictions:
        known = [one for one in run.predictions if one.truth]
        sure = sorted(known, key=lambda one: -one.probability)
        wrong = [one for one in sure if one.label != one.truth][:MOST_FACES]
        right = [one for one in sure if one.label == one.truth][:MOST_FACES]
        parts.append(_faces("Wrong, and most sure of it", wrong, run))
        parts.append(_faces("Right, and most sure of it", right, run))
        if not known:
            parts.append(note("predictions.csv holds no image whose truth is known."))
    else:
        parts.append(
            '<p class="note">No predictions.csv is here. This writes one: <code>python -m '
            f"cifar_dist predict {escape(run.path)} IMAGES --output {escape(run.path / 'report')}"
            "</code></p>"
        )
    others = [one for one in run.pictures if not run.predictions or one.stem != "predictions"]
    return "".join([*parts, *_pictures(others)])


def _faces(title: str, rows: Sequence[Prediction], run: Run) -> str:
    if not rows:
        return ""
    directory = text(mapping(run.manifest).get("directory"), 4000)
    folders = [Path.cwd(), *([Path(directory)] if directory else []), run.path]
    made = []
    for one in rows:
        address = picture_of(one, folders)
        picture = f'<img alt="" src="{address}">' if address else ""
        answer = f"<b>{escape(one.label)}</b> {percent(one.probability, 1)}"
        truth = "" if one.label == one.truth else f"<br>truth: {escape(one.truth)}"
        made.append(f'<div title="{escape(_place(one))}">{picture}{answer}{truth}</div>')
    return f'<h3>{escape(title)}</h3><div class="faces">{"".join(made)}</div>'


def _place(one: Prediction) -> str:
    return one.file if one.record is None else f"{one.file} record {one.record}"


def _pictures(files: Sequence[Path]) -> list[str]:
    made = []
    for file in files[:MOST_PICTURES]:
        content = read_bytes(file, limit=MOST_PICTURE_BYTES + 1) or b""
        address = data_address(content, MOST_PICTURE_BYTES)
        if address:
            picture = f'<img class="shot" alt="{escape(file.name)}" src="{address}">'
            made.append(f"<h3>{escape(file.name)}</h3>{picture}")
    return made
