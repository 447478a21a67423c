"""Ranks that launchers name as slow, from the lines that these add to the events of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATTERN = "events*.jsonl"
"""A file of each node's launcher, which judges its own ranks."""


@dataclass(frozen=True)
class Straggler:
    """A rank that was named at a step; ``text`` says how slow it was and what its host did."""

    rank: int
    step: int
    text: str


class Stragglers:
    """Follow the events of a run from now on; what cannot be read is passed over.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._slow: set[int] = set()
        self._ends: dict[Path, int] = {}
        for _ in self._new_lines():
            pass

    @property
    def count(self) -> int | None:
        """How many ranks are slow, by the events taken so far; None where no launcher watches."""
        return len(self._slow) if self._ends else None

    def take(self) -> list[Straggler]:
        """Return the ranks that were named since the last call."""
        lines = [line for line in self._new_lines() if b'"straggler' in line]
        return [found for line in lines if (found := self._follow(line)) is not None]

    def _new_lines(self) -> Iterator[bytes]:
        """Yield whole lines that were not there before."""
        for path in sorted(self._folder.glob(PATTERN)):
            start = self._ends.setdefault(path, 0)
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read()
            except OSError:
                continue
            end = data.rfind(b"\n") + 1
            self._ends[path] = start + end
            yield from data[:end].splitlines()

    def _follow(self, line: bytes) -> Straggler | None:
        try:
            event = json.loads(line)
        except ValueError:
            return None
        match event:
            case {"event": "straggler", "rank": int(rank), "step": int(step), "text": str(text)}:
                self._slow.add(rank)
                return Straggler(rank, step, text)
            case {"event": "straggler_end", "rank": int(rank)}:
                self._slow.discard(rank)
        return None
