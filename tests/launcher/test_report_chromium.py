"""The report in a real browser: opened from disk, without a request, without a complaint, drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from report_runs import START_S, failed_run, good_run

from launcher.report.build import build
from launcher.report.read import read_run
from tests.chromium import Chromium
from tests.pixels import coloured_share, window

SIZES = [(1200, 900), (390, 844)]
LEAST_DRAWN = 0.0003
"""Of a picture's pixels so many have a colour, even where it shows a single point."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages on a run that ended well, on one that failed, and on both."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [
        read_run(path, is_alive=lambda _: False, clock=lambda: START_S + 100)
        for path in (good_run(folder / "good"), failed_run(folder / "failed"))
    ]
    picked = {"good": runs[:1], "failed": runs[1:], "both": runs}
    for name, some in picked.items():
        (folder / f"{name}.html").write_text(build(some), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in picked}


@pytest.mark.parametrize("name", ["good", "failed", "both"])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_opens_without_request_and_complaint_and_fits(
    chromium: Chromium, pages: dict[str, Path], *, name: str, width: int, height: int, dark: bool
) -> None:
    seen = chromium.open(pages[name].as_uri(), width=width, height=height, dark=dark)
    assert seen.complaints == []
    outside = [one for one in seen.requests if not one.startswith(("file:", "data:"))]
    assert outside == []
    assert [one for one in seen.requests if one.startswith("file:")] == [pages[name].as_uri()]
    assert chromium.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("dark", [False, True])
def test_no_picture_is_blank(
    chromium: Chromium, pages: dict[str, Path], *, width: int, height: int, dark: bool
) -> None:
    chromium.open(pages["good"].as_uri(), width=width, height=height, dark=dark)
    whole = window(chromium, whole_page=True)
    boxes = chromium.value(
        "[...document.querySelectorAll('svg')].map(e => {const b = e.getBoundingClientRect();"
        "return [b.left + scrollX, b.top + scrollY, b.right + scrollX, b.bottom + scrollY]})"
    )
    assert len(boxes) >= 7
    for box in boxes:
        left, top, right, bottom = map(int, box)
        picture = whole.crop((left, top, min(right, width), bottom))
        assert coloured_share(picture) > LEAST_DRAWN, box


def test_dark_is_dark_and_light_is_light(chromium: Chromium, pages: dict[str, Path]) -> None:
    for dark in (False, True):
        chromium.open(pages["good"].as_uri(), width=800, height=600, dark=dark)
        corner = window(chromium).convert("L").getpixel((3, 3))
        assert (corner < 60) == dark


def test_a_blank_picture_would_be_found() -> None:
    assert coloured_share(Image.new("RGB", (100, 100), (246, 247, 249))) == 0.0
