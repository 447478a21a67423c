"""Numbers as people read them."""

from __future__ import annotations

import math
import time

DASH = "-"


def seconds(value: float | None) -> str:
    """Return 0.42 s, 42.0 s, 3 min 05 s or 2 h 07 min."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def percent(value: float | None, digits: int = 2) -> str:
    """Return a ratio in percent."""
    return DASH if value is None else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return DASH if value is None else f"{value:,.0f}"


def fixed(value: float | None, digits: int = 4) -> str:
    """Return a number with so many places."""
    return DASH if value is None else f"{value:.{digits}f}"


def size(count_bytes: int) -> str:
    """Return 812 bytes, 3.4 kB or 1.2 GB."""
    if count_bytes < 1000:
        return f"{count_bytes} bytes"
    power = min(4, int(math.log10(count_bytes) / 3))
    return f"{count_bytes / 1000**power:.1f} {'_kMGT'[power]}B"


def clock(time_s: float | None) -> str:
    """Return local date and time; a dash where it is none."""
    try:
        return (
            DASH if time_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))
        )
    except (OverflowError, ValueError, OSError):
        return DASH


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers from below ``low`` to above ``high``, about so many."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if span / (m * power) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def tick_labels(values: list[float]) -> list[str]:
    """Return the values, all with as many places as they need to differ."""
    step = values[1] - values[0]
    if max(map(abs, values)) >= 1e6 or step < 1e-4:
        return [f"{value:.3g}" if value else "0" for value in values]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(round(step, places) - step) > step * 1e-6:
        places += 1
    return [f"{value:,.{places}f}" for value in values]
