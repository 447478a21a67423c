"""Slurm's short forms: ``node[01-03,7],gpu5`` for names and ``2(x3),1`` for counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

MOST = 100_000
_PART = re.compile(r"((?:[^\[\],]|\[[^\[\]]*\])+)(?:,|$)")
_PIECE = re.compile(r"([^\[\]]*)(?:\[([^\[\]]*)\])?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_COUNT = re.compile(r"(\d{1,6})(?:\(x(\d{1,6})\))?", re.ASCII)


def expand_hosts(text: str) -> tuple[str, ...]:
    """Return the names of a host list, in its order.

    Leading zeros are kept (``n[08-10]`` is n08, n09, n10); a name may have several brackets.

    Raises:
        ValueError: it is no host list, or names more than 100,000 hosts.
    """
    names: list[str] = []
    place = 0
    while place < len(text):
        match = _PART.match(text, place)
        if match is None:
            raise ValueError(f"{text[place:][:60]!r} is no host list such as node[01-03,7],gpu5")
        names += _expand(match.group(1), MOST - len(names))
        place = match.end()
    if not names or text.endswith(","):
        raise ValueError(f"{text[-60:]!r} is no host list such as node[01-03,7],gpu5")
    return tuple(names)


def _expand(part: str, most: int) -> list[str]:
    names = [""]
    for piece in _PIECE.finditer(part):
        numbers = [""] if piece.group(2) is None else list(_numbers(piece.group(2), most))
        if len(names) * len(numbers) > most:
            raise ValueError(f"{part[:60]!r} names more than {MOST} hosts")
        names = [name + piece.group(1) + number for name in names for number in numbers]
    return names


def _numbers(text: str, most: int) -> Iterator[str]:
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:60]!r} is neither a number nor a range like 01-03")
        first, last = match.group(1), match.group(2) or match.group(1)
        if not 0 <= int(last) - int(first) < most:
            raise ValueError(f"{part!r} does not go up, or names more than {MOST} hosts")
        for number in range(int(first), int(last) + 1):
            yield f"{number:0{len(first)}d}"


def expand_counts(text: str) -> tuple[int, ...]:
    """Return one number per node of ``2(x3),1``.

    Raises:
        ValueError: it is no such list, or has more than 100,000 numbers.
    """
    counts: list[int] = []
    for part in text.split(","):
        match = _COUNT.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:60]!r} is no count such as 2 or 2(x3)")
        times = int(match.group(2) or 1)
        if len(counts) + times > MOST:
            raise ValueError(f"{text[:60]!r} has more than {MOST} counts")
        counts += [int(match.group(1))] * times
    return tuple(counts)


def format_counts(counts: Iterable[int]) -> str:
    """Return the short form of one number per node."""
    runs = ((count, len(list(same))) for count, same in groupby(counts))
    return ",".join(str(count) if times == 1 else f"{count}(x{times})" for count, times in runs)
