"""What a row of the table says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from subprocess import TimeoutExpired
from typing import Any

from job import TrialFailed

from cifar_dist.errors import CheckpointError


@dataclass
class Verdict:
    """Trials of one thing that must hold.

    ``seen`` counts what the trials met, such as the phase in which a run was killed; ``skipped`` is
    why there were none.
    """

    title: str
    trials: int = 0
    failures: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    note: str = ""
    skipped: str = ""

    def attempt(self, trial: Callable[[], str | None]) -> None:
        """Do one trial; it returns what it has met."""
        self.trials += 1
        try:
            met = trial()
        except (TrialFailed, TimeoutExpired, CheckpointError) as failure:
            self.failures.append(str(failure))
        else:
            if met:
                self.seen[met] += 1

    @property
    def holds(self) -> bool:
        return not self.failures and (self.trials > 0 or bool(self.skipped))

    def lines(self) -> list[str]:
        if self.skipped:
            return [f"skip  {self.title}: {self.skipped}"]
        word = "ok  " if self.holds else "FAIL"
        good = self.trials - len(self.failures)
        met = ", ".join(f"{name} {count}" for name, count in sorted(self.seen.items()))
        details = "; ".join(text for text in (met, self.note) if text)
        first = f"{word}  {self.title}: {good} of {self.trials}" + (f" ({details})" if met else "")
        if self.note and not met:
            first += f" ({self.note})"
        return [first, *(f"      {failure}" for failure in self.failures)]

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "trials": self.trials,
            "failures": self.failures,
            "seen": dict(self.seen),
            "note": self.note,
            "skipped": self.skipped,
            "holds": self.holds,
        }


def all_hold(verdicts: Sequence[Verdict]) -> bool:
    return all(verdict.holds for verdict in verdicts)
