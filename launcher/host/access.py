"""The way to the machine: its files below one root, and its tools.

With the environment variable ``LAUNCHER_HOST_ROOT`` the files and tools of another folder are
looked at instead; that is how tests put a host with NPUs on a temporary path.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

HOST_ROOT = "LAUNCHER_HOST_ROOT"
TOOL_TIMEOUT_S = 10.0
_TOOL_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/local/Ascend/driver/tools")
_AT_ONCE = 8
_KILL_S = 1.0


class Answer(NamedTuple):
    """What a tool printed (both streams), and why that may not be its answer; "" = it is."""

    text: str = ""
    problem: str = ""


class HostAccess(NamedTuple):
    """Files and tools of a host.

    Args:
        root: the folder that stands for ``/``.
        environ: the environment; its PATH leads to tools.
        timeout_s: how long one call of a tool may take, in seconds.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = MappingProxyType({})
    timeout_s: float = TOOL_TIMEOUT_S

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> HostAccess:
        """Return the access to this machine, or to the folder that the environment names."""
        return cls(Path(environ.get(HOST_ROOT) or "/"), dict(environ))

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def read(self, absolute: str) -> str | None:
        """Return the text of a file; None where it cannot be read."""
        try:
            return self.path(absolute).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def names(self, absolute: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted; none where it cannot be read."""
        try:
            return tuple(sorted(os.listdir(self.path(absolute))))
        except OSError:
            return ()

    def find(self, tool: str) -> Path | None:
        """Return where a tool is: on PATH, or where the driver puts it (not on PATH by itself)."""
        folders = [*self.environ.get("PATH", "").split(os.pathsep), *_TOOL_FOLDERS]
        below = os.pathsep.join(str(self.path(folder)) for folder in folders if folder)
        from shutil import which

        found = which(tool, path=below)
        return Path(found) if found else None

    def ask(self, tool: str, *arguments: str) -> Answer:
        """Return what a tool prints; a missing, failing or hanging one is told, never raised."""
        program = self.find(tool)
        if program is None:
            return Answer(problem=f"{tool} is not on this host (nor on PATH)")
        try:
            child = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**self.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            return Answer(problem=f"{program} cannot be started: {error.strerror}")
        return self._finish(child, f"{tool} {' '.join(arguments)}")

    def ask_all(self, tool: str, calls: Sequence[Sequence[str]]) -> list[Answer]:
        """Return the answers to several calls of one tool, some of them made at once."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda arguments: self.ask(tool, *arguments), calls))

    def _finish(self, child: subprocess.Popen[bytes], call: str) -> Answer:
        try:
            printed = child.communicate(timeout=self.timeout_s)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            # A tool that hangs inside the driver cannot even be killed: it is left behind.
            with suppress(subprocess.TimeoutExpired):
                child.wait(_KILL_S)
            if child.stdout is not None:
                child.stdout.close()
            return Answer(problem=f"{call}: no answer within {self.timeout_s:g} s")
        if child.returncode != 0:
            return Answer(printed, f"{call}: exit code {child.returncode}")
        return Answer(printed)
