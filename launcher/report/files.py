"""Files of a run, read with a bound on their size and with no trust in what is in them."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_BYTES = 32 << 20
"""Of a file of lines so much is looked at, in blocks spread evenly over the whole of it."""

MOST_JSON_BYTES = 16 << 20
_BLOCKS = 256
_LARGEST = 1e15
_MOST_TEXT = 20_000


def read_bytes(path: Path, *, start: int = 0, limit: int) -> bytes | None:
    """Return a part of a regular file; None where there is none that can be read.

    Opened without blocking: a pipe in a run directory must not stop us.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        found = bytearray()
        while len(found) < limit:
            block = os.pread(descriptor, min(limit - len(found), 1 << 20), start + len(found))
            if not block:
                break
            found += block
        return bytes(found)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def size_of(path: Path) -> int | None:
    """Return the size of a regular file; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def list_folder(path: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where it is none."""
    try:
        return sorted(path.iterdir())
    except (OSError, ValueError):
        return []


def read_object(path: Path) -> Mapping[str, Any] | None:
    """Return the JSON object that a file holds; None where it holds no whole one."""
    content = read_bytes(path, limit=MOST_JSON_BYTES)
    return None if content is None else parse_object(content)


def parse_object(line: bytes) -> Mapping[str, Any] | None:
    """Return a JSON object; None for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def tail_lines(path: Path, lines: int, *, limit: int = 64 << 10) -> tuple[str, ...]:
    """Return the last lines of a text; bytes that are no UTF-8 are replaced."""
    size = size_of(path)
    if size is None:
        return ()
    start = max(0, size - limit)
    text = (read_bytes(path, start=start, limit=limit) or b"").decode("utf-8", "replace")
    return tuple(text.splitlines()[1 if start else 0 :][-lines:])


@dataclass
class Lines:
    """The JSON objects of a file of lines, and what was left out of them."""

    path: Path
    limit: int = MOST_BYTES
    damaged: int = field(default=0, init=False)
    sampled: bool = field(default=False, init=False)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        size = size_of(self.path)
        spans = _spans(size or 0, self.limit)
        self.damaged, self.sampled = 0, len(spans) > 1
        for start, length in spans:
            block = read_bytes(self.path, start=start, limit=length) or b""
            lines = block.split(b"\n")
            whole = lines[1 if start else 0 : None if start + length >= (size or 0) else -1]
            for line in whole:
                if line.strip():
                    found = parse_object(line)
                    if found is None:
                        self.damaged += 1
                    else:
                        yield found


def _spans(size: int, limit: int) -> list[tuple[int, int]]:
    """Return (start, length) of the blocks to read: all of a file, or evenly spread ones."""
    if size <= limit:
        return [(0, size)]
    length = max(1, limit // _BLOCKS)
    stride = (size - length) / (_BLOCKS - 1)
    return [(round(index * stride), length) for index in range(_BLOCKS)]


def number(value: object) -> float | None:
    """Return a number that can be drawn; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -_LARGEST <= value <= _LARGEST or not math.isfinite(value):
        return None
    return float(value)


def whole(value: object) -> int | None:
    """Return a whole number; None for anything else."""
    found = number(value)
    return None if found is None or found != int(found) else int(found)


def text(value: object, limit: int = _MOST_TEXT) -> str:
    """Return a text, cut where it is too long; "" for anything else."""
    return value[:limit] if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """Return an array; an empty one for anything else."""
    return value if isinstance(value, list) else []
