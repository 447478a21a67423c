"""One thing that was looked at, and how it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GREEN, YELLOW, RED = "green", "yellow", "red"
_ORDER = (GREEN, YELLOW, RED)


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        name: what was looked at.
        level: green, yellow (a job may run, but look at it) or red (a job cannot run).
        what: how it stands.
        remedy: what to do; "" where nothing is needed.
    """

    name: str
    level: str
    what: str
    remedy: str = ""


def worst(findings: Iterable[Finding]) -> str:
    """Return the highest level of all."""
    return max((finding.level for finding in findings), key=_ORDER.index, default=GREEN)
