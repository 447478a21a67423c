"""Several runs beside each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from launcher.report.charts import Axes, Series, curves
from launcher.report.files import number
from launcher.report.markup import escape, note, table
from launcher.report.numbers import count, fixed, percent, seconds
from launcher.report.page import Section, page
from launcher.report.result import missing, state_badge
from launcher.report.run import Run
from launcher.report.times import duration, median_speed
from launcher.report.training import eval_points, points

MOST_CURVES = 8
_LINE = re.compile(r"^( *)(- |)(?:([^\s:#][^:#]*):)?(?:\s+(.*)|)$")


def comparison_page(runs: Sequence[Run], *, foot: str) -> str:
    """Return the page on several runs: a table, overlaid curves, the keys that differ."""
    head = f"<h1>{len(runs)} runs compared</h1>"
    return page(
        f"{len(runs)} runs compared",
        head=head,
        foot=foot,
        sections=[
            Section("runs", "Runs", _table(runs)),
            Section("curves", "Curves", _curves(runs)),
            Section("keys", "Recipe keys that differ", _keys(runs)),
            Section("missing", "What is missing", _missing(runs)),
        ],
    )


def _table(runs: Sequence[Run]) -> str:
    rows = []
    for index, run in enumerate(runs):
        tests = [one for one in run.metrics.evals if one.accuracy is not None]
        best = max((one.accuracy or 0 for one in tests), default=None)
        rows.append(
            (
                f'<span class="dot k{index % 8}"></span>{_link(run)}',
                state_badge(run),
                percent(tests[-1].accuracy if tests else None),
                percent(best),
                fixed(next((p.loss for p in reversed(run.metrics.train)), None)),
                count(max((p.step for p in run.metrics.train), default=None)),
                count(median_speed(run)),
                seconds(number(run.metrics.end.get("train_s"))),
                seconds(duration(run)),
                count(run.world_size),
            )
        )
    head = (
        "run", "state", "accuracy", "best", "train loss", "steps", "images/s", "training", "in all",
        "ranks",
    )  # fmt: skip
    return table(head, rows, numbers=range(2, len(head)))


def _link(run: Run) -> str:
    return f'<span title="{escape(run.path)}">{escape(run.name)}</span>'


def _curves(runs: Sequence[Run]) -> str:
    shown = list(enumerate(runs[:MOST_CURVES]))
    tests = {index: eval_points(run.metrics.evals, _accuracy) for index, run in shown}
    losses = [
        Series(run.name, points(run.metrics.train, lambda one: one.loss), index)
        for index, run in shown
    ]
    accuracies = [
        Series(run.name, next(iter(tests[index].values()), []), index, marks=True)
        for index, run in shown
    ]
    rates = [
        Series(run.name, points(run.metrics.train, lambda one: one.lr), index)
        for index, run in shown
    ]
    speeds = [
        Series(run.name, points(run.metrics.train, lambda one: one.images_per_s), index)
        for index, run in shown
    ]
    figures = "".join(
        [
            curves("Training loss", losses, Axes("loss", y_least=0)),
            curves("Accuracy", accuracies, Axes("accuracy, %")),
            curves("Learning rate", rates, Axes("learning rate", y_least=0)),
            curves("Throughput", speeds, Axes("images/s, all ranks", y_least=0)),
        ]
    )
    more = len(runs) - MOST_CURVES
    words = note(f"The first {MOST_CURVES} runs are drawn; {more} more are in the table.")
    return (
        f'<div class="grid2">{figures}</div>' if figures else note("None of the runs has a curve.")
    ) + (words if more > 0 else "")


def _accuracy(point: object) -> float | None:
    value = number(getattr(point, "accuracy", None))
    return None if value is None else 100 * value


def _keys(runs: Sequence[Run]) -> str:
    flat = [recipe_keys(run.recipe) for run in runs]
    names = list(dict.fromkeys(name for keys in flat for name in keys))
    rows = []
    for name in names:
        values = [keys.get(name, "") for keys in flat]
        if len({value for value, keys in zip(values, flat, strict=True) if keys}) > 1:
            cells = (f"<code>{escape(value[:200])}</code>" if value else "-" for value in values)
            rows.append((f"<code>{escape(name[:120])}</code>", *cells))
    if not any(flat):
        return note("None of the runs has a recipe (config.yaml).")
    if not rows:
        return note("Every key has the same value in all runs.")
    return table(("key", *(escape(run.name) for run in runs)), rows[:400])


def recipe_keys(recipe: str) -> dict[str, str]:
    """Return ``{"section.key": value}`` of a recipe in the form in which config.yaml is written.

    Nested blocks by their indentation, one key a line; items of a list are joined. It reads no
    other YAML: a foreign file gives what it gives, but never an error.
    """
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in recipe.splitlines()[:5000]:
        match = _LINE.match(line.rstrip())
        if match is None or not line.strip() or line.lstrip().startswith("#"):
            continue
        indent, item, key, value = len(match[1]), match[2], match[3], (match[4] or "").strip()
        if item or key is None:
            if path:
                name = ".".join(part for _, part in path)
                more = line.strip().removeprefix("- ")
                found[name] = f"{found.get(name, '')} {more}".strip()
            continue
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, key.strip()))
        if value:
            found[".".join(part for _, part in path)] = value
    return found


def _missing(runs: Sequence[Run]) -> str:
    parts = [(run, missing(run)) for run in runs]
    return "".join(f"<h3>{escape(run.name)}</h3>{words}" for run, words in parts if words)
