"""Exact sums of whole numbers, and exact copies of bytes, over collectives that only add float32.

MindSpore's CPU collectives add float32 and nothing else, exact up to 2^24 (measured on 2.10). A
count is therefore cut into limbs so short that their sum over all ranks stays below that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT_BITS = 24
COUNT_BITS = 62


def limb_bits(world_size: int) -> int:
    """Return how many bits of a count fit into one float32 when ``world_size`` of them are added.

    Raises:
        ValueError: more ranks than a float32 can count at all.
    """
    bits = EXACT_BITS - (world_size - 1).bit_length()
    if bits < 1:
        raise ValueError(f"{world_size} ranks are more than float32 can count")
    return bits


def split_counts(counts: NDArray[np.int64], world_size: int) -> NDArray[np.float32]:
    """Cut counts into limbs: int64[...] of 0 to 2^62 - 1 -> float32[limbs, ...], lowest first.

    Raises:
        ValueError: a count is negative or too large.
    """
    if counts.size and (counts.min() < 0 or counts.max() >= 1 << COUNT_BITS):
        raise ValueError(f"counts must be 0 to 2^{COUNT_BITS} - 1")
    bits = limb_bits(world_size)
    limbs = -(-COUNT_BITS // bits)
    mask = (1 << bits) - 1
    return np.stack([(counts >> (bits * limb)) & mask for limb in range(limbs)]).astype(np.float32)


def join_counts(limbs: NDArray[np.float32], world_size: int) -> NDArray[np.int64]:
    """Undo :func:`split_counts` after the limbs of ``world_size`` ranks were added."""
    bits = limb_bits(world_size)
    whole = limbs.astype(np.int64)
    total: NDArray[np.int64] = sum(
        (part << (bits * limb) for limb, part in enumerate(whole)), np.zeros_like(whole[0])
    )
    return total


def split_words(data: bytes) -> NDArray[np.float32]:
    """Cut bytes into words of 16 bits: float32[words], which added to zeros stay as they are.

    An odd last byte is half a word; :func:`join_words` gives back a byte more.
    """
    padded = data if len(data) % 2 == 0 else data + b"\0"
    return np.frombuffer(padded, dtype=np.uint16).astype(np.float32)


def join_words(words: NDArray[np.float32]) -> bytes:
    """Undo :func:`split_words`."""
    return words.astype(np.uint16).tobytes()
