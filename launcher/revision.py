"""The git revision of the working directory, asked for while the workers are being started."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import Any

_COMMAND = ("git", "status", "--porcelain=v2", "--branch", "--untracked-files=no")
_LONGEST_ANSWER = 16 * 1024 * 1024


class Revision:
    """git's answer: asked for at once, there a moment later.

    Without a reader, which is what the launcher's end means, git ends when it answers.
    """

    def __init__(self) -> None:
        self._printed = b""
        self._known: dict[str, Any] | None = None
        self._git: subprocess.Popen[bytes] | None
        try:
            self._git = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
                start_new_session=True,
            )
        except OSError:
            self._git = None

    def get(self, wait_s: float = 0.0) -> dict[str, Any] | None:
        """Return revision, branch and dirty flag, waiting for so long at the most.

        None where git has not answered yet, is missing, or finds no checkout here.
        """
        if self._git is not None and self._has_all(time.monotonic() + wait_s):
            self._known = parse_revision(self._printed.decode("utf-8", "replace"))
            self.close()
        return self._known

    def close(self) -> None:
        """Give up what has not been answered."""
        if self._git is not None and self._git.stdout is not None:
            self._git.stdout.close()
            if self._git.poll() is None:
                self._git.kill()
        self._git = None

    def _has_all(self, until_s: float) -> bool:
        """Read what there is; True once git has closed its end."""
        assert self._git is not None
        assert self._git.stdout is not None
        poller = select.poll()
        poller.register(self._git.stdout, select.POLLIN)
        while poller.poll(max(0.0, until_s - time.monotonic()) * 1000):
            piece = os.read(self._git.stdout.fileno(), 65536)
            self._printed += piece
            if not piece or len(self._printed) > _LONGEST_ANSWER:
                return True
        return False


def parse_revision(status: str) -> dict[str, Any] | None:
    """Return revision, branch and dirty flag from ``git status --porcelain=v2 --branch``."""
    headers, dirty = {}, False
    for line in status.splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            headers[name] = value
        else:
            dirty = True
    revision = headers.get("branch.oid", "(initial)")
    if revision == "(initial)":
        return None
    return {"revision": revision, "branch": headers.get("branch.head"), "dirty": dirty}
