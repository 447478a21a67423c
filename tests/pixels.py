"""Whether a picture shows anything."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image

from tests.chromium import LONG_S, Chromium

LEAST_DRAWN = 0.001
_LOWEST_PX = 100
"""Lower elements are icons."""


def window(browser: Chromium, *, whole_page: bool = False) -> Image.Image:
    """Return what a browser shows."""
    shot = browser.screenshot(whole_page=whole_page)
    return Image.open(io.BytesIO(shot)).convert("RGB")


def coloured_share(picture: Image.Image) -> float:
    """Return the share of pixels that are of a colour, and not of a grey."""
    pixels = np.asarray(picture).astype(int)
    return float((pixels.max(axis=2) - pixels.min(axis=2) > 60).mean())


def wait_until_drawn(browser: Chromium, selector: str, at_least: int) -> None:
    """Wait until so many of the elements that the window shows whole are not blank.

    Raises:
        TimeoutError: they are not after LONG_S; the message shows what the page says.
    """
    deadline_s = time.monotonic() + LONG_S
    while _drawn(browser, selector) < at_least:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{selector} is blank; the page says: {browser.text()[:3000]}")


def _drawn(browser: Chromium, selector: str) -> int:
    picture = window(browser)
    boxes = [tuple(map(int, box)) for box in browser.boxes(selector)]
    shown = [
        box
        for box in boxes
        if min(box) >= 0
        and box[2] <= picture.width
        and box[3] <= picture.height
        and box[3] - box[1] > _LOWEST_PX
    ]
    return sum(coloured_share(picture.crop(box)) > LEAST_DRAWN for box in shown)
