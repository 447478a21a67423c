"""The ranks' signs of life, ``progress/rank_R.json``; an unchanged file is not read again."""

from __future__ import annotations

import os

from launcher.contract import Progress, RunPaths, read_record


class Heartbeats:
    """Read the newest record of each rank of a run directory."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._known: dict[int, tuple[tuple[int, int], Progress | None]] = {}

    def of(self, rank: int) -> Progress | None:
        """Return what a rank has written last; None where there is nothing whole."""
        path = self._paths.progress(rank)
        try:
            status = os.stat(path)
        except OSError:
            return None
        version = (status.st_mtime_ns, status.st_ino)
        known = self._known.get(rank)
        if known is None or known[0] != version:
            known = self._known[rank] = (version, read_record(Progress, path))
        return known[1]
