"""The section of the classes: confusion matrix, numbers per class, mistakes."""

from __future__ import annotations

from launcher.report.markup import escape, note, table
from launcher.report.matrix import MOST_WITH_NUMBERS, confused, matrix_figure
from launcher.report.numbers import count, fixed, percent
from launcher.report.run import Run

MOST_CLASS_ROWS = 200


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
