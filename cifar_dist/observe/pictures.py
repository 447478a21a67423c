"""Pictures that need no plotting library: the confusion matrix, and images side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

MOST_LABELLED = 20
"""With more classes, names and counts would not be readable."""
MOST_TILES = 64
_TILE_COLUMNS = 8
_GAP_PX = 2
_SCALE = 2
_CELL_PX = 44
_SIDE_PX = 600
"""Of a matrix without names."""
_MARGIN_PX = 8
_LETTER_PX = 6
_LINE_PX = 12
_INK, _PAPER, _FULL = (31, 35, 40), (255, 255, 255), (9, 105, 218)


def confusion_picture(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """Return a confusion matrix as PNG: rows are the truth, darker is a larger share of the row.

    Args:
        matrix: C rows of C counts.
        names: of the C classes; not shown where there are more than MOST_LABELLED.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(counts) > MOST_LABELLED:
        side = max(_SIDE_PX // len(counts), 1) * len(counts)
        cells = Image.fromarray(_shaded(shares)).resize((side, side), Image.Resampling.NEAREST)
        return _png(cells)
    letters = max(len(name) for name in names)
    edge = _MARGIN_PX + letters * _LETTER_PX + _MARGIN_PX + _LINE_PX
    side = _CELL_PX * len(counts)
    canvas = Image.new("RGB", (edge + side + _MARGIN_PX, edge + side + _MARGIN_PX), _PAPER)
    cells = Image.fromarray(_shaded(shares)).resize((side, side), Image.Resampling.NEAREST)
    canvas.paste(cells, (edge, edge))
    _write_names(canvas, names, edge)
    _write_counts(canvas, counts, shares, edge)
    return _png(canvas)


def contact_sheet(images_nchw: NDArray[np.uint8]) -> bytes:
    """Return the first images side by side as one PNG, at most MOST_TILES.

    Args:
        images_nchw: uint8[N, 3, H, W], N >= 1.
    """
    shown = images_nchw[:MOST_TILES]
    number, _, height, width = shown.shape
    columns = min(_TILE_COLUMNS, number)
    rows = -(-number // columns)
    step_y, step_x = height + _GAP_PX, width + _GAP_PX
    sheet = np.full((rows * step_y + _GAP_PX, columns * step_x + _GAP_PX, 3), 255, dtype=np.uint8)
    for place, image in enumerate(shown):
        row, column = divmod(place, columns)
        top, left = _GAP_PX + row * step_y, _GAP_PX + column * step_x
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    whole = Image.fromarray(sheet)
    size = (whole.width * _SCALE, whole.height * _SCALE)
    return _png(whole.resize(size, Image.Resampling.NEAREST))


def _shaded(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    paper, full = np.array(_PAPER), np.array(_FULL)
    mixed: NDArray[np.float64] = paper + np.sqrt(shares)[..., None] * (full - paper)
    return np.rint(mixed).astype(np.uint8)


def _write_names(canvas: Image.Image, names: Sequence[str], edge: int) -> None:
    draw = ImageDraw.Draw(canvas)
    middle = edge + _CELL_PX * len(names) // 2
    draw.text((middle, _MARGIN_PX // 2), "predicted", fill=_INK, anchor="ma")
    draw.text((_MARGIN_PX, edge - _LINE_PX - 4), "truth", fill=_INK)
    for number, name in enumerate(names):
        centre = edge + _CELL_PX * number + _CELL_PX // 2
        draw.text((edge - 6, centre), name, fill=_INK, anchor="rm")
        turned = Image.new("L", (edge, _LINE_PX + 4), 0)
        ImageDraw.Draw(turned).text((0, _LINE_PX // 2 + 2), name, fill=255, anchor="lm")
        upright = turned.rotate(90, expand=True)
        canvas.paste(_INK, (centre - upright.width // 2, edge - 6 - upright.height), upright)


def _write_counts(
    canvas: Image.Image, counts: NDArray[np.int64], shares: NDArray[np.float64], edge: int
) -> None:
    draw = ImageDraw.Draw(canvas)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            x, y = (edge + _CELL_PX * place + _CELL_PX // 2 for place in (column, row))
            ink = _PAPER if shares[row, column] > 0.25 else _INK
            draw.text((x, y), str(count), fill=ink, anchor="mm")


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
