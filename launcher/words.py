"""Ranks, exit codes and processes in words, for messages."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping

from launcher.plan import SCHEDULER
from launcher.ranges import format_ranges


def ranks_in_words(ranks: Iterable[int]) -> str:
    """Return 'rank 3', 'ranks 0-2,5' or 'no rank'."""
    workers = sorted(rank for rank in ranks if rank != SCHEDULER)
    if not workers:
        return "no rank"
    return f"rank{'s' if len(workers) > 1 else ''} {format_ranges(workers)}"


def status_in_words(returncode: int) -> str:
    """Return how a process ended, from Popen's return code."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"was ended by {name}"


def processes_in_words(names: Mapping[int, str]) -> str:
    """Return '2 processes: sleep of rank 1 (pid 71), python (pid 83)'."""
    listed = ", ".join(f"{name} (pid {pid})" for pid, name in sorted(names.items()))
    return f"{len(names)} process{'es' if len(names) > 1 else ''}: {listed}"
