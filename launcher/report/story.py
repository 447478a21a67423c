"""The sections of what happened: time line, events, environment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from launcher.report.files import mapping, sequence, text
from launcher.report.markup import block, escape, folded, note, pairs, table
from launcher.report.numbers import clock, count
from launcher.report.run import Event, Run
from launcher.report.timeline import MOST_ROWS, timeline

MOST_EVENTS = 200
_OFTEN = ("straggler", "straggler_end")
_LEFT_OUT = "those of stragglers at first, then those in the middle"
_LONG = frozenset({"time", "event", "attempt", "rank", "plan"})


def story_section(run: Run) -> str:
    if not run.events:
        return note("events.jsonl holds no event: the run was not started by the launcher.")
    until_s = run.end_s or run.read_s
    drawn = timeline(run.lives, run.events, until_s=until_s)
    titles = {life.title for life in run.lives}
    more = note(f"{len(titles):,} processes: the first {MOST_ROWS} are drawn.")
    opened = table(
        ("after", "event", "attempt", "rank", "what"),
        [_row(event, run.events[0].time_s) for event in _some(run.events)],
        numbers=(0, 2, 3),
    )
    left = len(run.events) - MOST_EVENTS
    opened += note(f"{left:,} events are left out: {_LEFT_OUT}.") if left > 0 else ""
    summary = f"All {len(run.events):,} events" if len(run.events) > 1 else "The event"
    return drawn + (more if len(titles) > MOST_ROWS else "") + folded(summary, opened)


def _some(events: Sequence[Event]) -> list[Event]:
    """Return what the table shows: stragglers give way to all else, then what is in the middle."""
    often = [number for number, event in enumerate(events) if event.name in _OFTEN]
    others = [number for number, event in enumerate(events) if event.name not in _OFTEN]
    shown = sorted(others + often[: max(0, MOST_EVENTS - len(others))])
    if len(shown) > MOST_EVENTS:
        shown = [*shown[: MOST_EVENTS // 2], *shown[-MOST_EVENTS // 2 :]]
    return [events[number] for number in shown]


def _row(event: Event, start_s: float) -> tuple[str, ...]:
    more = {name: value for name, value in event.values.items() if name not in _LONG}
    words = ", ".join(f"{name}={_short(value)}" for name, value in more.items())
    return (
        f"{event.time_s - start_s:,.2f} s",
        escape(event.name),
        str(event.attempt),
        count(event.rank),
        escape(words[:400]),
    )


def _short(value: object) -> str:
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, float):
        return f"{value:.6g}"
    try:
        return json.dumps(value)[:200]
    except (ValueError, RecursionError):
        return "?"


def environment_section(run: Run) -> str:
    manifest = run.manifest
    plan = mapping(manifest.get("plan"))
    git = mapping(manifest.get("git"))
    revision = text(git.get("revision"), 60)
    dirty = " with changes that are not committed" if git.get("dirty") is True else ""
    command = [text(one, 4000) for one in sequence(manifest.get("command"))]
    rows = [
        ("command", f"<code>{escape(shlex.join(command)[:8000])}</code>" if command else ""),
        ("directory", escape(text(manifest.get("directory"), 4000))),
        ("host", escape(text(manifest.get("host"), 300))),
        ("device", escape(text(plan.get("device_target"), 40))),
        ("nodes", escape(plan.get("nnodes") if isinstance(plan.get("nnodes"), int) else "")),
        ("rendezvous", escape(text(plan.get("rendezvous"), 40))),
        ("seed", escape("" if manifest.get("seed") is None else str(manifest["seed"])[:40])),
        ("started", escape(clock(run.start_s))),
        ("ended", escape(clock(run.end_s))),
        ("git", escape(revision + dirty) if revision else ""),
        ("Python", escape(text(manifest.get("python"), 40))),
        *(
            (str(name)[:60], escape(text(version, 80)))
            for name, version in list(mapping(manifest.get("versions")).items())[:60]
        ),
        ("checkpoints", _checkpoints(run)),
    ]
    shown = [(name, value) for name, value in rows if value]
    notes = "".join(note(text(one, 1000)) for one in sequence(plan.get("notes"))[:20])
    recipe = folded("Recipe, every key", block(run.recipe)) if run.recipe.strip() else ""
    return pairs(shown) + notes + recipe


def _checkpoints(run: Run) -> str:
    metrics = run.metrics
    if not metrics.checkpoints:
        return ""
    return escape(f"{metrics.checkpoints:,}, the last at step {count(metrics.checkpoint_step)}")
