"""Curves as SVG: colours come from the page's style, so that one picture fits light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from launcher.report.markup import escape, figure
from launcher.report.numbers import tick_labels, ticks

Point = tuple[float, float]
WIDTH, HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 10, 40
MOST_BUCKETS = 240
_SMOOTH_FROM = 80
_SMOOTH_SHARE = 40


@dataclass(frozen=True)
class Series:
    """A named curve; ``style`` picks colour and dashes, ``marks`` shows each point."""

    name: str
    points: Sequence[Point]
    style: int = 0
    marks: bool = False


@dataclass(frozen=True)
class Axes:
    """What the axes are called, and what they must hold beside the points."""

    y: str
    x: str = "step"
    y_least: float | None = None
    y_most: float | None = None


def curves(title: str, series: Sequence[Series], axes: Axes) -> str:
    """Return a figure with all curves; "" where there is no point."""
    shown = [one for one in series if one.points]
    if not shown:
        return ""
    frame = _Frame.around([point for one in shown for point in one.points], axes)
    smooth = len(shown) == 1 and len(shown[0].points) >= _SMOOTH_FROM
    drawn = "".join(_drawn(one, frame, smooth=smooth) for one in shown)
    keys = [(f"k{one.style % 8}", one.name) for one in shown] if len(shown) > 1 else []
    if smooth:
        keys = [("k0 faint", "as recorded"), ("k0", "running mean")]
    picture = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_words(title, shown))}">{frame.grid(axes)}{drawn}</svg>'
    )
    return figure(title, picture, keys=keys)


@dataclass(frozen=True)
class _Frame:
    """From values to places in the picture."""

    x_ticks: list[float]
    y_ticks: list[float]
    x_low: float
    x_high: float

    @classmethod
    def around(cls, points: Sequence[Point], axes: Axes) -> _Frame:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        low = min(ys) if axes.y_least is None else min(axes.y_least, *ys)
        high = max(ys) if axes.y_most is None else max(axes.y_most, *ys)
        from_zero = min(xs) >= 0 and (min(xs) <= max(xs) / 2 or min(xs) == max(xs))
        x_low = 0.0 if from_zero else min(xs)
        x_high = max(xs) if max(xs) > x_low else x_low + 1
        inside = [x for x in ticks(x_low, x_high) if x_low <= x <= x_high]
        return cls(inside or [x_low], ticks(low, high), x_low, x_high)

    def place(self, x: float, y: float) -> Point:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        across = (x - self.x_low) / (self.x_high - self.x_low)
        up = (y - low) / (high - low)
        return (
            _LEFT + across * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
        )

    def grid(self, axes: Axes) -> str:
        lines = []
        for value, label in zip(self.y_ticks, tick_labels(self.y_ticks), strict=True):
            _, y = self.place(self.x_low, value)
            lines.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
            lines.append(f'<text class="end" x="{_LEFT - 7}" y="{y + 4:.1f}">{label}</text>')
        labels = tick_labels(self.x_ticks) if len(self.x_ticks) > 1 else [f"{self.x_low:,.6g}"]
        for value, label in zip(self.x_ticks, labels, strict=True):
            x, _ = self.place(value, self.y_ticks[0])
            lines.append(
                f'<text class="mid" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 17}">{label}</text>'
            )
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        lines.append(
            f'<text class="mid name" x="{middle}" y="{HEIGHT - 5}">{escape(axes.x)}</text>'
        )
        across = (_TOP + HEIGHT - _BOTTOM) / 2
        lines.append(
            f'<text class="mid name" transform="translate(12 {across}) rotate(-90)">'
            f"{escape(axes.y)}</text>"
        )
        return "".join(lines)


def _drawn(one: Series, frame: _Frame, *, smooth: bool) -> str:
    style = f"s{one.style % 8}"
    points = [frame.place(x, y) for x, y in thinned(one.points)]
    if smooth:
        mean = [frame.place(x, y) for x, y in thinned(running_mean(one.points))]
        return _line(points, f"{style} faint") + _line(mean, style)
    made = _line(points, style) if len(points) > 1 else ""
    if (one.marks and len(points) <= 60) or len(points) == 1:
        made += "".join(
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points
        )
    return made


def _line(points: Sequence[Point], style: str) -> str:
    return f'<path class="line {style}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'


def thinned(points: Sequence[Point], buckets: int = MOST_BUCKETS) -> list[Point]:
    """Return few points that draw the same: of each stretch its lowest and its highest."""
    if len(points) <= 2 * buckets:
        return list(points)
    return list(_extremes(points, buckets))


def _extremes(points: Sequence[Point], buckets: int) -> Iterator[Point]:
    for index in range(buckets):
        stretch = points[index * len(points) // buckets : (index + 1) * len(points) // buckets]
        low = min(range(len(stretch)), key=lambda at: stretch[at][1])
        high = max(range(len(stretch)), key=lambda at: stretch[at][1])
        yield from (stretch[at] for at in sorted({low, high}))


def running_mean(points: Sequence[Point]) -> list[Point]:
    """Return the mean of each point and its neighbours, a fortieth of all on both sides."""
    reach = max(1, len(points) // _SMOOTH_SHARE)
    total, sums = 0.0, [0.0]
    for _, y in points:
        total += y
        sums.append(total)
    found = []
    for index, (x, _) in enumerate(points):
        low, high = max(0, index - reach), min(len(points), index + reach + 1)
        found.append((x, (sums[high] - sums[low]) / (high - low)))
    return found


def _words(title: str, series: Sequence[Series]) -> str:
    """Return what a picture shows, for those who do not see it."""
    parts = [
        f"{one.name} from {one.points[0][1]:.4g} to {one.points[-1][1]:.4g}" for one in series[:8]
    ]
    return f"{title}: {'; '.join(parts)}"
