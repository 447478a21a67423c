"""A real TensorBoard that serves a folder, for tests and for scripts/screenshots."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.chromium import TEXT, Chromium

START_S = 150.0
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+/")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this host; give the address."""
    options = ("--host", "127.0.0.1", "--port", "0", "--load_fast", "false")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), *options]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield _address(process)
        finally:
            process.kill()


def open_page(
    browser: Chromium, address: str, plugin: str, *, tags: str = "", size: tuple[int, int]
) -> None:
    """Open a page of TensorBoard.

    Args:
        browser: whose page it is.
        address: of the server.
        plugin: "scalars", "images", "text", "custom_scalars" ...
        tags: a pattern: only these are shown, all of them.
        size: width and height of the window.
    """
    shown = f"&tagFilter={quote(tags, safe='')}" if tags else ""
    where = f"{address}?darkMode=false&page={plugin}#{plugin}{shown}"
    browser.open(where, width=size[0], height=size[1])


def wait_for_words(browser: Chromium, *words: str) -> None:
    """Wait until a page says all of the words."""
    browser.wait_until(
        f"(text => {json.dumps(words)}.every(one => text.includes(one)))(({TEXT})())"
    )


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    said, deadline_s = b"", time.monotonic() + START_S
    while (found := _ADDRESS.search(said)) is None:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
            raise TimeoutError(f"TensorBoard has not started in {START_S:g} s: {said!r}")
        if not (block := process.stdout.read1(4096)):
            raise RuntimeError(f"TensorBoard has ended: {said!r}")
        said += block
    return found[0].decode()
