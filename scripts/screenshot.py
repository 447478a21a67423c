"""One page as a small PNG: the top of it, as a window of 1080 pixels shows it.

Usage: python -m scripts.screenshot PAGE.html PICTURE.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from tests.chromium import Chromium, find_chromium

WIDTH, HEIGHT = 1080, 1130
COLOURS = 64
MOST_BYTES = 150_000


def main(page: str, picture: str) -> int:
    """Open the page and write the picture; 1 where there is no Chromium or it is too large."""
    path = find_chromium()
    if path is None:
        print("screenshot: no Chromium here; install the package chromium", file=sys.stderr)
        return 1
    with Chromium(path) as browser:
        seen = browser.open(Path(page).absolute().as_uri(), width=WIDTH, height=HEIGHT)
        shot = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    if seen.complaints:
        print(f"screenshot: the page complains: {seen.complaints}", file=sys.stderr)
        return 1
    small = io.BytesIO()
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    if len(small.getvalue()) > MOST_BYTES:
        print(f"screenshot: {len(small.getvalue()):,} bytes are too many", file=sys.stderr)
        return 1
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    Path(picture).write_bytes(small.getvalue())
    print(f"wrote {picture} ({len(small.getvalue()):,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
