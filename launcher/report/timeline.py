"""The lives of the processes of a run as bars over time."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.report.files import number
from launcher.report.markup import escape, figure
from launcher.report.numbers import seconds, tick_labels, ticks
from launcher.report.run import Event, Life

MOST_ROWS, MOST_MARKS = 34, 60
_ROW, _LEFT, _WIDTH, _TOP, _BOTTOM = 22, 84, 960, 22, 40
_MARKED = {
    "hang": "hang",
    "restart": "restart",
    "failure": "failure",
    "preempt": "preempted",
    "straggler": "straggler",
}
_DRAWN = ("hang", "restart", "preempt", "straggler")
_KEYS = (
    ("k2", "ended well"),
    ("k1", "failed"),
    ("k7", "stopped by the launcher"),
    ("k0", "runs, or its end is not recorded"),
)


def timeline(lives: Sequence[Life], events: Sequence[Event], *, until_s: float) -> str:
    """Return a figure with one row per process; bars of all attempts, marks of what happened.

    Args:
        until_s: where a bar ends whose process has no end yet.
    """
    rows = list(dict.fromkeys(life.title for life in lives))[:MOST_ROWS]
    if not rows:
        return ""
    start_s = min(life.start_s for life in lives)
    ends = [life.end_s or until_s for life in lives] + [event.time_s for event in events]
    span_s = max(max(ends) - start_s, 1e-3)
    height = _TOP + len(rows) * _ROW + _BOTTOM

    def x_of(time_s: float) -> float:
        share = min(max((time_s - start_s) / span_s, 0), 1)
        return _LEFT + share * (_WIDTH - _LEFT - 16)

    parts = [_axis(span_s, height, x_of(start_s), x_of(start_s + span_s))]
    for index, title in enumerate(rows):
        y = _TOP + index * _ROW
        parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y + 15}">{escape(title)}</text>')
        for life in lives:
            if life.title == title:
                parts.append(_bar(life, x_of(life.start_s), x_of(life.end_s or until_s), y))
    parts += [_mark(event, x_of(event.time_s), height) for event in _shown(events)]
    picture = (
        f'<div class="wide"><svg class="times" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Time line of {len(rows)} processes">{"".join(parts)}</svg></div>'
    )
    return figure(
        "Processes over time", picture, keys=[*_KEYS, ("k3", "hang, restart or straggler")]
    )


def how(life: Life) -> tuple[str, str]:
    """Return the style and the words for how a process ended."""
    if life.end_s is None:
        return "b0", "runs, or its end is not recorded"
    if life.returncode == 0:
        return "b2", "ended well"
    what = "exit code" if (life.returncode or 0) >= 0 else "signal"
    words = f"{what} {abs(life.returncode or 0)}"
    return ("b7", f"stopped by the launcher, {words}") if life.stopped else ("b1", words)


def _bar(life: Life, left: float, right: float, y: float) -> str:
    style, words = how(life)
    lasted_s = None if life.end_s is None else life.end_s - life.start_s
    title = f"{life.title}, attempt {life.attempt}: {words}"
    title += f" after {seconds(lasted_s)}" if lasted_s is not None else ""
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{y + 3}" width="{max(right - left, 2):.1f}" '
        f'height="{_ROW - 6}" rx="3"><title>{escape(title)}</title></rect>'
    )


def _shown(events: Sequence[Event]) -> list[Event]:
    """Return what is marked: as many stragglers as there is room for beside all else."""
    marked = [event for event in events if event.name in _DRAWN]
    return sorted(marked, key=lambda event: event.name == "straggler")[:MOST_MARKS]


def _mark(event: Event, x: float, height: float) -> str:
    return (
        f'<g class="mark"><path d="M{x:.1f} 16V{height - _BOTTOM}"/>'
        f'<text class="mid" x="{x:.1f}" y="12">{escape(_MARKED[event.name])}</text>'
        f"<title>{escape(_words(event))}</title></g>"
    )


def _words(event: Event) -> str:
    """Return which rank an event is about, and of a straggler how slow it was."""
    who = "" if event.rank is None else f": rank {event.rank}"
    factor = number(event.values.get("factor"))
    return event.name + who + (f", {factor:.1f} times the others' time" if who and factor else "")


def _axis(span_s: float, height: float, left: float, right: float) -> str:
    unit, name = (
        next(
            (size, name)
            for size, name in ((3600, "h"), (60, "min"), (1, "s"))
            if span_s >= 2 * size
        )
        if span_s >= 2
        else (1, "s")
    )
    values = [value for value in ticks(0, span_s / unit, 8) if value <= span_s / unit]
    labels = tick_labels(values) if len(values) > 1 else ["0"]
    parts = []
    for value, label in zip(values, labels, strict=True):
        x = left + value * unit / span_s * (right - left)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{height - _BOTTOM + 4}"/>')
        parts.append(f'<text class="mid" x="{x:.1f}" y="{height - _BOTTOM + 18}">{label}</text>')
    middle = (left + right) / 2
    parts.append(
        f'<text class="mid name" x="{middle}" y="{height - 4}">{name} since the first start</text>'
    )
    return "".join(parts)
