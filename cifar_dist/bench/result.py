"""What a bench found: ratios against rivals, figures, and how it was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from cifar_dist.bench.spread import Spread


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Attributes:
        key: of the JSON object, without the ending ``_ratio``.
        what: is done, and by how much of the machine.
        own: our figure, in ``unit``.
        rival: the other's.
        ratio: how many times faster (or smaller) ours is, repetition by repetition.
        unit: of both figures.
        rival_name: against whom.
        target: what the ratio must be at least; None: it is only reported.
    """

    key: str
    what: str
    own: Spread
    rival: Spread
    ratio: Spread
    unit: str
    rival_name: str
    target: float | None = None


@dataclass(frozen=True)
class Figure:
    """A number that has no rival; ``target`` is the most it may be, None: it is only reported."""

    key: str
    what: str
    value: Spread
    unit: str
    target: float | None = None


@dataclass(frozen=True)
class Result:
    """All of one bench; ``notes`` say what was left out and why."""

    name: str
    comparisons: tuple[Comparison, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)

    def far_below(self, margin: float) -> list[str]:
        """Return a line for each ratio whose median is below its target by more than ``margin``."""
        return [
            f"{one.what}: {one.ratio.median:.2f} times as fast as {one.rival_name}, "
            f"far below {one.target:g}"
            for one in self.comparisons
            if one.target is not None and one.ratio.median * margin < one.target
        ]

    def to_json(self) -> dict[str, Any]:
        """Return one object: medians under plain keys, everything under ``rows``."""
        values: dict[str, Any] = {"bench": self.name, "machine": self.machine}
        values |= {f"{one.key}_ratio": round(one.ratio.median, 4) for one in self.comparisons}
        values |= {one.key: round(one.value.median, 6) for one in self.figures}
        values["rows"] = [asdict(one) for one in self.comparisons]
        values["rows"] += [asdict(one) for one in self.figures]
        values["notes"] = list(self.notes)
        return values


_HEAD = ("| what | ours | rival | ratio (min to max) | must be |", "|---|---|---|---|---|")


def table(results: Iterable[Result], *, has_head: bool = True) -> list[str]:
    """Return Markdown: a row for each comparison and figure, then the notes."""
    rows = list(_HEAD) if has_head else []
    notes: list[str] = []
    for result in results:
        rows += [_comparison(one) for one in result.comparisons]
        rows += [_figure(one) for one in result.figures]
        notes += [f"- {result.name}: {note}" for note in result.notes]
    return [*rows, "", *notes] if notes else rows


def _comparison(one: Comparison) -> str:
    ratio = one.ratio
    shown = f"**{ratio.median:.2f}** ({ratio.minimum:.2f} to {ratio.maximum:.2f})"
    target = "" if one.target is None else f">= {one.target:g}"
    ours, rival = f"{one.own} {one.unit}", f"{one.rival_name}: {one.rival} {one.unit}"
    return f"| {one.what} | {ours} | {rival} | {shown} | {target} |"


def _figure(one: Figure) -> str:
    target = "" if one.target is None else f"<= {one.target:g} {one.unit}"
    return f"| {one.what} | {one.value} {one.unit} |  |  | {target} |"
