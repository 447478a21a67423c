"""From the launcher's events to the lives of processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from launcher.report.files import number, text, whole
from launcher.report.run import Event, Life

MOST_EVENTS = 20_000


def events_of(records: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Return the events in the order of their times; a line that is none is passed over."""
    found: list[Event] = []
    for record in records:
        time_s, name = number(record.get("time")), text(record.get("event"), 40)
        if time_s is not None and name and len(found) < MOST_EVENTS:
            attempt, rank = whole(record.get("attempt")) or 0, whole(record.get("rank"))
            found.append(Event(time_s, name, max(0, min(attempt, 10_000)), rank, record))
    return sorted(found, key=lambda event: event.time_s)


def lives_of(events: Sequence[Event]) -> list[Life]:
    """Return one life per process that was started, in the order of the starts."""
    lives: dict[tuple[int, str], Life] = {}
    for event in events:
        key = (event.attempt, _title(event))
        if event.name == "spawn":
            pid = whole(event.values.get("pid"))
            lives[key] = Life(event.attempt, key[1], event.time_s, pid)
        elif event.name == "exit" and key in lives:
            lives[key] = replace(
                lives[key],
                end_s=event.time_s,
                returncode=whole(event.values.get("returncode")),
                stopped=event.values.get("signalled") is True,
            )
    return list(lives.values())


def _title(event: Event) -> str:
    if event.rank is not None:
        return f"rank {event.rank}"
    return text(event.values.get("process"), 40) or "?"
