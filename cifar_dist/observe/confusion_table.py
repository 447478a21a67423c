"""The confusion matrix as text: rows are the truth, columns the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def confusion_table(matrix: Sequence[Sequence[int]], per_class: Sequence[dict[str, Any]]) -> str:
    """Return one line per class: its row of the matrix, precision, recall and F1.

    Args:
        matrix: C rows of C counts.
        per_class: C objects with name, precision, recall and f1.
    """
    wide = max(len(str(count)) for row in matrix for count in row)
    names = max(len(one["name"]) for one in per_class)
    head = (
        f"{'truth':<{names}}  {'predicted':<{len(matrix) * (wide + 1)}}  precision  recall     f1"
    )
    lines = [head]
    for row, one in zip(matrix, per_class, strict=True):
        cells = "".join(f" {count:>{wide}}" for count in row)
        lines.append(
            f"{one['name']:<{names}} {cells}   {one['precision']:>9.4f}  {one['recall']:.4f}  "
            f"{one['f1']:.4f}"
        )
    return "\n".join(lines)
