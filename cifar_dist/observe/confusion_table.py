"""The confusion matrix as text: rows are the truth, columns the prediction."""

from __future__ import annotations

from collections.abc import Sequence

MOST_COLUMNS = 20
"""A wider matrix is unreadable on a screen."""


def confusion_table(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Return one line per class: what its images were taken for, in the order of the classes.

    Args:
        matrix: C rows of C counts.
        names: of the C classes.
    """
    if len(names) > MOST_COLUMNS:
        return f"the confusion matrix of {len(names)} classes is too wide to print: see --json"
    cell = max(len(str(count)) for row in matrix for count in row) + 1
    first = max(len(name) for name in (*names, "truth"))
    lines = [f"{'truth':<{first}}  predicted as the same classes in the same order"]
    for row, name in zip(matrix, names, strict=True):
        lines.append(f"{name:<{first}} {''.join(f' {count:>{cell}}' for count in row)}")
    return "\n".join(lines)
