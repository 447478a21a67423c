"""Sets of numbers as users and the kernel write them: ``0-3,6``."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 65536


def parse_ranges(text: str) -> tuple[int, ...]:
    """Return the numbers of a list such as ``0-3,6``, in the order given.

    Raises:
        ValueError: a part is no number and no ``first-last``; the message names that part.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{part.strip()!r} is neither a number nor a range like 0-3")
        start, stop = int(first), int(last or first)
        if stop < start or stop > _MOST:
            raise ValueError(f"{part.strip()!r} is no range: it must go up, and end below {_MOST}")
        numbers.extend(range(start, stop + 1))
    return tuple(numbers)


def format_ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ``0-3,6``: sorted, each once; two neighbours are written ``0,1``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(_run(first, last) for first, last in runs)


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
