"""The ranks' signs of life, ``progress/rank_R.json``; an unchanged file is not read again.

Any script may write them, so that nothing in them is believed: what a rank must tell has to be
right for the record to count at all, and of what it may tell a wrong value is left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from launcher.contract import Progress, RunPaths, read_record

TRAINING = "train"
"""The phase in which a rank takes optimizer steps."""
_MOST = 10**15
"""No count, time or number is as large; what is calculated from two of them is still finite."""
_COUNTS = ("epochs", "total_steps")
_NUMBERS = ("accuracy", "step_ms", "images_per_s", "data_wait_s", "stalled_s")


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
            known = self._known[rank] = (version, read_heartbeat(path))
        return known[1]


def read_heartbeat(path: Path) -> Progress | None:
    """Return a rank's record; None where there is none, it is damaged or says what cannot be."""
    sign = read_record(Progress, path)
    if not isinstance(sign, Progress) or not _is_usable(sign):
        return None
    wrong = [name for name in _COUNTS if not _is_count(getattr(sign, name))]
    wrong += [name for name in _NUMBERS if not _is_number(getattr(sign, name))]
    wrong += [] if _is_number(sign.loss, least=-_MOST) else ["loss"]
    nothing: dict[str, Any] = dict.fromkeys(wrong)
    return sign._replace(**nothing)


def _is_usable(sign: Progress) -> bool:
    counts = (sign.rank, sign.epoch, sign.step)
    is_word = isinstance(sign.phase, str) and sign.phase.isprintable()
    return is_word and all(map(_is_count, counts)) and _is_number(sign.time)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _is_number(value: object, least: float = 0.0) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return least <= value < _MOST
