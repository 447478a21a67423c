"""Random numbers without a state: the same (seed, stream, epoch, index) gives the same number.

They depend on no rank, no order and no earlier draw, so that any rank can make its part of an epoch
and a resumed run continues in the middle of one. They are defined here and not by generators of
NumPy, whose streams may change with a version. The mixing function is the finaliser of SplitMix64
(Steele, Lea, Flood, OOPSLA 2014, figure 17).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def draws(seed: int, stream: str, epoch: int, indices: ArrayLike) -> NDArray[np.uint64]:
    """Return 64 random bits for each index.

    Args:
        seed: of the run, >= 0.
        stream: what the numbers are for; two purposes never share numbers.
        epoch: 0-based.
        indices: whole numbers >= 0 of any shape, such as the images' positions in the data set.

    Returns:
        uint64 of the shape of ``indices``.
    """
    key = _mix_one(seed & _MASK)
    key = _mix_one(key ^ zlib.crc32(stream.encode("ascii")))
    key = _mix_one((key + epoch * _GOLDEN) & _MASK)
    bits = np.asarray(indices).astype(np.uint64)
    bits *= np.uint64(_GOLDEN)
    bits += np.uint64(key)
    for shift, factor in zip((30, 27), _MULTIPLIERS, strict=True):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits


def below(bits: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Turn the low 32 of the given bits into numbers of 0 to count - 1, all equally likely.

    The result hangs on the high ones among them: for a small count the lowest bit is still free.

    Args:
        bits: of :func:`draws`; shifted right by 32 they give a second, independent number.
        count: 1 to 2**31; the odds differ by less than count / 2**32.
    """
    scaled: NDArray[np.uint64] = (bits & np.uint64(0xFFFFFFFF)) * np.uint64(count)
    scaled >>= np.uint64(32)
    return scaled.astype(np.int64)


def _mix_one(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    for shift, factor in zip((30, 27), _MULTIPLIERS, strict=True):
        value = ((value ^ (value >> shift)) * factor) & _MASK
    return value ^ (value >> 31)
