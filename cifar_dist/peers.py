"""What the launcher of this node has written down about the other ranks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peers:
    """The ranks of one attempt, as the launcher's ``events.jsonl`` tells of them."""

    events: Path
    attempt: int

    def have_ended(self) -> bool:
        """Return whether a rank has ended, here or on a node that says so to this one.

        False where nothing is known, as under msrun.
        """
        try:
            lines = self.events.read_bytes().splitlines()
        except OSError:
            return False
        return any(self._is_end(line) for line in lines if b'"exit"' in line or b'"peer"' in line)

    def _is_end(self, line: bytes) -> bool:
        try:
            event = json.loads(line)
        except ValueError:
            return False
        if not isinstance(event, dict) or event.get("attempt") != self.attempt:
            return False
        if event.get("event") == "peer":
            return event.get("ranks_are_gone") is True
        return event.get("event") == "exit" and event.get("rank") is not None
