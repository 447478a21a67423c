"""The report of a run and its TensorBoard as small PNGs: as a window shows them.

Usage: python -m scripts.screenshot RUN_DIR FOLDER
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from tests.chromium import Chromium, find_chromium
from tests.pixels import wait_until_drawn, window
from tests.viewer import open_page, serving, wait_for_words

REPORT, BOARD = (1080, 1130), (1080, 960)
COLOURS = 64
MOST_BYTES = 150_000


def main(run: str, folder: str) -> int:
    """Write both pictures; 1 where there is no Chromium, or a picture is not as it should be."""
    path = find_chromium()
    if path is None:
        return _refuse("no Chromium here; install the package chromium")
    with Chromium(path) as browser:
        page = (Path(run) / "report" / "index.html").absolute().as_uri()
        seen = browser.open(page, width=REPORT[0], height=REPORT[1])
        if seen.complaints:
            return _refuse(f"the page complains: {seen.complaints}")
        pictures = {"report.png": window(browser)}
        with serving(Path(run)) as address:
            open_page(browser, address, "custom_scalars", size=BOARD)
            wait_for_words(browser, "Progress", "Speed", "Machine")
            wait_until_drawn(browser, "vz-line-chart2", 4)
            pictures["tensorboard.png"] = window(browser)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        content = _small(picture)
        if len(content) > MOST_BYTES:
            return _refuse(f"{name}: {len(content):,} bytes are too many")
        (Path(folder) / name).write_bytes(content)
        print(f"wrote {Path(folder) / name} ({len(content):,} bytes)")
    return 0


def _small(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def _refuse(why: str) -> int:
    print(f"screenshot: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
