"""What the launcher has written down about the other ranks of this node."""

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
        """Return whether a rank has ended; False where nothing is known, as under msrun."""
        try:
            lines = self.events.read_bytes().splitlines()
        except OSError:
            return False
        return any(self._is_end(line) for line in lines if b'"exit"' in line)

    def _is_end(self, line: bytes) -> bool:
        try:
            event = json.loads(line)
        except ValueError:
            return False
        return (
            isinstance(event, dict)
            and event.get("event") == "exit"
            and event.get("attempt") == self.attempt
            and event.get("rank") is not None
        )
