"""The confusion matrix as a picture: what is right in one colour, what is not in another."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.report.markup import escape, figure

MOST_WITH_NUMBERS = 20
_CELL, _LEFT, _TOP = 42, 124, 94
_SMALL_SIDE = 500
_SHADES = 8


def matrix_figure(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Return a figure of C rows (the truth) of C counts (the predictions)."""
    keys = [("k0", "right"), ("k1", "taken for another class")]
    picture = (
        _with_numbers(matrix, names) if len(names) <= MOST_WITH_NUMBERS else _shades_only(matrix)
    )
    return figure("Confusion matrix: rows are the truth", picture, keys=keys)


def confused(
    matrix: Sequence[Sequence[int]], names: Sequence[str], most: int = 8
) -> list[tuple[str, str, int, float]]:
    """Return the most frequent mistakes: (truth, prediction, count, share of the truth)."""
    found = [
        (count, row, column)
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return [(names[r], names[c], n, n / sum(matrix[r])) for n, r, c in found[:most]]


def _with_numbers(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    side = len(names) * _CELL
    parts = []
    for row, (counts, name) in enumerate(zip(matrix, names, strict=True)):
        y, total = _TOP + row * _CELL, sum(counts) or 1
        middle, label = y + _CELL / 2 + 4, escape(_short(name))
        parts.append(f'<text class="end" x="{_LEFT - 8}" y="{middle}">{label}</text>')
        for column, count in enumerate(counts):
            parts.append(_cell(_LEFT + column * _CELL, y, count, count / total, row == column))
    for column, name in enumerate(names):
        x = _LEFT + column * _CELL + _CELL / 2 + 4
        parts.append(
            f'<text transform="translate({x} {_TOP - 8}) rotate(-45)">{escape(_short(name))}</text>'
        )
    width = _LEFT + side + 60
    return (
        f'<div class="wide"><svg class="matrix" viewBox="0 0 {width} {_TOP + side + 4}" role="img" '
        f'style="min-width:{min(width, 520)}px" '
        f'aria-label="Confusion matrix of {len(names)} classes">{"".join(parts)}</svg></div>'
    )


def _cell(x: float, y: float, count: int, share: float, is_right: bool) -> str:
    shade = share if is_right else min(1.0, 2.5 * share)
    style = "m0" if is_right else "m1"
    light = " on" if shade > 0.55 else (" zero" if count == 0 else "")
    return (
        f'<rect class="cell" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3"/>'
        + (
            f'<rect class="{style}" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" '
            f'rx="3" fill-opacity="{shade:.2f}"/>'
            if count
            else ""
        )
        + f'<text class="mid{light}" x="{x + _CELL / 2 - 1}" y="{y + _CELL / 2 + 4}">{count}</text>'
    )


def _shades_only(matrix: Sequence[Sequence[int]]) -> str:
    """Return a matrix of many classes: one path for each shade keeps the page small."""
    unit = _SMALL_SIDE / len(matrix)
    paths: dict[tuple[str, int], list[str]] = {}
    for row, counts in enumerate(matrix):
        total = sum(counts) or 1
        for column, count in enumerate(counts):
            if count:
                share = count / total if row == column else min(1.0, 4 * count / total)
                shade = max(1, round(_SHADES * share))
                key = ("m0" if row == column else "m1", shade)
                paths.setdefault(key, []).append(f"M{column} {row}h1v1h-1z")
    made = "".join(
        f'<path class="{style}" fill-opacity="{shade / _SHADES:.2f}" d="{"".join(places)}"/>'
        for (style, shade), places in sorted(paths.items())
    )
    return (
        f'<svg class="matrix" viewBox="0 0 {_SMALL_SIDE} {_SMALL_SIDE}" role="img" '
        f'aria-label="Confusion matrix of {len(matrix)} classes"><g transform="scale({unit:.4f})">'
        f'<rect class="cell" width="{len(matrix)}" height="{len(matrix)}"/>{made}</g></svg>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "\N{HORIZONTAL ELLIPSIS}"
