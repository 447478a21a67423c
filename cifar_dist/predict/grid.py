"""One picture of many predictions: each image enlarged, its label, probability and truth below.

Right ones have a green frame, wrong ones a red one with a cross, unknown ones a grey one, so that
they differ without their colours too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cifar_dist.predict.predictions import Prediction

MOST_TILES = 64
SCALE = 4
FRAME_PX = 4
LINE_PX = 13
GAP_PX = 8
MOST_LETTERS = 22

_COLOURS = {True: "#1a7f37", False: "#cf222e", None: "#8c959f"}
_SIDE_PX = 32 * SCALE
_TILE = (_SIDE_PX + 2 * FRAME_PX + GAP_PX, _SIDE_PX + 2 * FRAME_PX + 2 * LINE_PX + GAP_PX)


def picture_grid(images_nchw: NDArray[np.uint8], predictions: Sequence[Prediction]) -> bytes:
    """Return the first predictions as one PNG, at most MOST_TILES of them.

    Args:
        images_nchw: uint8[N, 3, 32, 32].
        predictions: of the N images, N >= 1.
    """
    shown = predictions[:MOST_TILES]
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    size = (columns * _TILE[0] + GAP_PX, rows * _TILE[1] + GAP_PX)
    canvas = Image.new("RGB", size, "white")
    for number, one in enumerate(shown):
        row, column = divmod(number, columns)
        corner = (GAP_PX + column * _TILE[0], GAP_PX + row * _TILE[1])
        _draw(canvas, corner, images_nchw[number], one)
    file = io.BytesIO()
    canvas.save(file, format="PNG")
    return file.getvalue()


def _draw(
    canvas: Image.Image, corner: tuple[int, int], image: NDArray[np.uint8], one: Prediction
) -> None:
    left, top = corner
    right, bottom = left + _SIDE_PX + 2 * FRAME_PX - 1, top + _SIDE_PX + 2 * FRAME_PX - 1
    colour = _COLOURS[one.is_right]
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left, top, right, bottom), fill=colour)
    tile = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    canvas.paste(
        tile.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.NEAREST),
        (left + FRAME_PX, top + FRAME_PX),
    )
    if one.is_right is False:
        arm = _SIDE_PX // 6
        x, y = right - FRAME_PX - arm, top + FRAME_PX
        draw.line((x, y, x + arm, y + arm), fill=colour, width=4)
        draw.line((x, y + arm, x + arm, y), fill=colour, width=4)
    draw.text((left, bottom + 2), _short(f"{one.label} {one.probability:.2f}"), fill=colour)
    truth = "truth not known" if one.truth is None else f"truth: {one.truth}"
    draw.text((left, bottom + 2 + LINE_PX), _short(truth), fill="black")


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 2]}.."
