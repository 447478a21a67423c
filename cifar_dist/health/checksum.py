"""Checksums of parameters, cheap enough for the middle of training, and who stands apart.

The checksum is a CRC-32 of the bytes: one changed bit of one weight changes it, which a float sum
of millions of weights would round away.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_FINITE = 1 << 32


def mark(array: NDArray[Any], *, is_shared: bool) -> int:
    """Return what other ranks need to know of a parameter.

    Args:
        array: float32 of any shape.
        is_shared: whether all ranks must hold the same bits: weights do, the running statistics of
            a batch norm do not.

    Returns:
        the CRC-32 where it is shared, else 0; and ``NOT_FINITE``, where a value is infinite or NaN.
    """
    found = zlib.crc32(np.ascontiguousarray(array).data) if is_shared else 0
    is_finite = array.size == 0 or (np.isfinite(array.max()) and np.isfinite(array.min()))
    return found if is_finite else found | NOT_FINITE


def own_row(values: NDArray[Any], *, rank: int, world_size: int) -> NDArray[Any]:
    """Return [ranks, ...]: 0 but for the own row. Summed over all ranks it holds all rows."""
    rows = np.zeros((world_size, *values.shape), dtype=values.dtype)
    rows[rank] = values
    return rows


def dissenters(marks: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the ranks whose row is not that of most ranks; empty where all are equal.

    Where another row is on as many ranks, such as with two ranks, no rank is in the right by vote:
    all ranks are returned.
    """
    rows = [row.tobytes() for row in marks]
    counts = Counter(rows).most_common(2)
    if len(counts) == 2 and counts[0][1] == counts[1][1]:
        return tuple(range(len(rows)))
    usual = counts[0][0]
    return tuple(rank for rank, row in enumerate(rows) if row != usual)
