"""A headless Chromium, driven through its DevTools protocol over a pair of pipes.

Used by tests and by scripts/screenshots. Nothing is installed for it: the protocol is JSON objects
that end with a zero byte (https://chromedevtools.github.io/devtools-protocol).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

LONG_S = 150.0
"""How long a page, or a condition in it, is waited for: the machine may be busy."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


_EXEC = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


_WALK = """const walk = root => { take(root); for (const one of root.querySelectorAll('*'))
    if (one.shadowRoot) walk(one.shadowRoot); }; walk(document);"""
TEXT = f"""() => {{ const found = []; const take = root => {{
    const texts = document.createTreeWalker(root.body || root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {{ const one = texts.currentNode;
        if (!/^(STYLE|SCRIPT)$/.test(one.parentNode.nodeName)) found.push(one.data.trim()); }} }};
    {_WALK} return found.filter(one => one).join('\\n'); }}"""
"""JavaScript: all words of a page."""
BOXES = f"""selector => {{ const found = []; const take = root =>
    root.querySelectorAll(selector).forEach(one => found.push(one.getBoundingClientRect()));
    {_WALK} return found.map(one => [one.left, one.top, one.right, one.bottom]); }}"""
"""JavaScript: where elements are in the window."""


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None; ``CHROMIUM`` names another one."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)


def _high_pipe() -> tuple[int, int]:
    """Return a pipe whose ends are neither 3 nor 4, where Chromium looks for its own."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low)
    for end in low:
        os.close(end)
    return high[0], high[1]


@dataclass
class Seen:
    """What a page did: addresses that it asked for, and complaints on its console."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Chromium:
    """One browser with one page. Leaving the context ends it and removes its profile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.seen = Seen()
        self._number = 0
        self._session: str | None = None
        self._target: str | None = None
        self._buffer = b""

    def __enter__(self) -> Chromium:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        to_read, self._to = _high_pipe()
        self._from, to_write = _high_pipe()
        switches = [*_SWITCHES, f"--user-data-dir={self._profile}", "about:blank"]
        ends = (str(to_read), str(to_write))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EXEC, *ends, self._path, *switches],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            self._open_page()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _open_page(self) -> None:
        """Go to a new page: what the one before still says is not taken for the new one's."""
        before, self._session = self._target, None
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=self._target, flatten=True)
        if before is not None:
            self.call("Target.closeTarget", targetId=before)
        self._session = attached["sessionId"]
        self.seen = Seen()
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._to)
        os.close(self._from)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(10)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, address: str, *, width: int, height: int, dark: bool = False) -> Seen:
        """Open a page as a window of this size would show it; return what it did meanwhile."""
        self._open_page()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        self._wait_for("Page.loadEventFired")
        return self.seen

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression gives in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true in the page.

        Raises:
            TimeoutError: it is not after LONG_S; the message shows what the page says.
        """
        look = (
            f"new Promise(done => {{ const end = Date.now() + {round(1000 * LONG_S)};"
            f"const look = () => {{ if ({condition}) done(true);"
            "else if (Date.now() > end) done(false); else setTimeout(look, 50); }; look(); })"
        )
        found = self.call(
            "Runtime.evaluate",
            limit_s=2 * LONG_S,
            expression=look,
            awaitPromise=True,
            returnByValue=True,
        )
        if found["result"].get("value") is not True:
            raise TimeoutError(f"{condition} is not true; the page says: {self.text()[:3000]}")

    def text(self) -> str:
        """Return all words of the page, those in shadow roots too."""
        return str(self.value(f"({TEXT})()"))

    def boxes(self, selector: str) -> list[tuple[float, float, float, float]]:
        """Return left, top, right, bottom of all elements, those in shadow roots too."""
        found = self.value(f"({BOXES})({json.dumps(selector)})")
        return [(box[0], box[1], box[2], box[3]) for box in found]

    def screenshot(self, *, whole_page: bool = False) -> bytes:
        """Return the page as PNG: what the window shows, or all of it."""
        more: dict[str, Any] = {}
        if whole_page:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            more = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        found = self.call("Page.captureScreenshot", format="png", **more)
        return base64.b64decode(found["data"])

    def call(self, method: str, *, limit_s: float = LONG_S, **values: Any) -> Mapping[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline_s = time.monotonic() + limit_s
        while True:
            answer = self._read(deadline_s)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: Mapping[str, Any] = answer["result"]
                return result

    def _wait_for(self, event: str) -> None:
        deadline_s = time.monotonic() + LONG_S
        while True:
            message = self._read(deadline_s)
            if (message.get("sessionId"), message.get("method")) == (self._session, event):
                return

    def _read(self, deadline_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._from], [], [], left_s)[0]:
                raise TimeoutError(f"{self._path} did not answer in time")
            block = os.read(self._from, 1 << 20)
            if not block:
                raise RuntimeError(f"{self._path} ended (code {self._process.poll()})")
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("sessionId") == self._session:
            self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, values: Mapping[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.seen.requests.append(values["request"]["url"])
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.seen.complaints.append(values["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.seen.complaints.append(json.dumps(values["args"]))
        elif method == "Runtime.exceptionThrown":
            self.seen.complaints.append(json.dumps(values["exceptionDetails"]))
