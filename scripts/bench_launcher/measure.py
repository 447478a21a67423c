"""What a row of the table holds, and how it is judged and shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measure:
    """The values of one row for one launcher; ``limit`` None: shown, not judged.

    ``judged_by`` is worst, median, total or least.
    """

    values: Sequence[float]
    unit: str
    limit: float | None = None
    judged_by: str = "worst"
    note: str = ""

    @property
    def judged(self) -> float:
        rule = {"worst": max, "median": statistics.median, "total": sum, "least": min}
        return float(rule[self.judged_by](self.values))

    @property
    def passes(self) -> bool | None:
        if self.limit is None or not self.values:
            return None
        return self.judged >= self.limit if self.judged_by == "least" else self.judged <= self.limit

    def summary(self) -> str:
        if not self.values:
            return self.note or "-"
        if self.judged_by == "total":
            return f"{sum(self.values):g} {self.unit} in {len(self.values)}"
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        return f"{low:.3g} / {middle:.3g} / {high:.3g} {self.unit}"


@dataclass
class Row:
    """One thing that must hold, with a column for each launcher."""

    title: str
    columns: dict[str, Measure] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            **{
                name: {
                    "values": list(one.values),
                    "unit": one.unit,
                    "limit": one.limit,
                    "judged_by": one.judged_by,
                    "passes": one.passes,
                    "note": one.note,
                }
                for name, one in self.columns.items()
            },
        }

    def lines(self, names: Sequence[str]) -> list[str]:
        """Return the row as text: the title, then a line for each launcher that was measured."""
        shown = [f"{self.title}"]
        for name in names:
            one = self.columns.get(name)
            if one is None:
                continue
            verdict = {None: "", True: "PASS", False: "FAIL"}[one.passes]
            limit = (
                ""
                if one.limit is None
                else f"{one.judged_by} must be {self._sign(one)} {one.limit:g}"
            )
            note = f"  ({one.note})" if one.note and one.values else ""
            shown.append(f"    {name:9} {one.summary():36} {limit:26} {verdict}{note}".rstrip())
        return shown

    def _sign(self, one: Measure) -> str:
        return ">=" if one.judged_by == "least" else "<="
