"""The numbers of an evaluation as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cifar_dist.metrics.decision import Threshold
from cifar_dist.metrics.report import NUMBERS, Report
from cifar_dist.observe.confusion_table import confusion_table

MOST_NOTES = 12


def report_table(report: Report) -> str:
    """Return all of a report: the whole, each class, the averages, the matrix, the notes."""
    parts = [_whole(report), _classes(report)]
    names = [row["name"] for row in report.per_class]
    parts.append([confusion_table(report.confusion_matrix, names)])
    if notes := list(_notes(report)):
        parts.append(notes)
    return "\n\n".join("\n".join(lines) for lines in parts)


def decision_line(name: str, wish: str, wanted: float, found: Threshold) -> str:
    """Return what the threshold of one class is, and what it gives.

    Args:
        name: of the class.
        wish: "recall" or "precision".
        wanted: of that, at least so much.
        found: the threshold.
    """
    return (
        f"{wish} of at least {wanted:g} for {name}: take an image for it where its probability is "
        f"at least {found.value!r}  (precision {found.precision:.4f}, recall {found.recall:.4f})"
    )


def _whole(report: Report) -> list[str]:
    rows: list[list[tuple[str, float | None]]] = [
        [
            ("accuracy", report.accuracy),
            ("error rate", report.error_rate),
            ("top-5", report.top_5),
        ],
        [("balanced accuracy", report.balanced_accuracy), ("MCC", report.mcc)],
        [
            ("loss", report.loss),
            ("NLL", report.nll),
            ("Brier", report.brier),
            ("ECE", report.ece),
        ],
    ]
    return ["  ".join(f"{name} {_number(value)}" for name, value in row) for row in rows]


def _number(value: float | None) -> str:
    return "has no value" if value is None else f"{value:.4f}"


def _classes(report: Report) -> list[str]:
    first = max(len(row["name"]) for row in (*report.per_class, {"name": "weighted"}))
    labels = (*NUMBERS[:-1], f"F-{report.beta:g}")
    widths = [max(len(label), 6) for label in labels]
    shown = "  ".join(f"{label:>{width}}" for label, width in zip(labels, widths, strict=True))
    lines = [f"{'class':<{first}}  {'images':>7}  {'taken':>7}  {shown}"]
    for row in report.per_class:
        counts = f"{row['support']:>7,}  {row['predicted']:>7,}"
        lines.append(f"{row['name']:<{first}}  {counts}  {_cells(row, widths)}")
    for average, numbers in report.averages.items():
        counts = f"{report.count:>7,}  {report.count:>7,}"
        lines.append(f"{average:<{first}}  {counts}  {_cells(numbers, widths)}")
    return lines


def _cells(numbers: Mapping[str, Any], widths: Sequence[int]) -> str:
    return "  ".join(f"{numbers[key]:>{w}.4f}" for key, w in zip(NUMBERS, widths, strict=True))


def _notes(report: Report) -> Iterator[str]:
    of_classes = [f"{r['name']}: {note}" for r in report.per_class for note in r.get("notes", ())]
    notes = [*report.notes, *of_classes]
    yield from (f"note: {note}" for note in notes[:MOST_NOTES])
    if len(notes) > MOST_NOTES:
        yield f"and {len(notes) - MOST_NOTES} more notes: see --json"
