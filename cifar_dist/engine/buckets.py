"""Which gradients are reduced in one message.

A message costs alpha, a byte beta: t = alpha m + beta bytes for m messages. Few large messages save
alpha; several let the first ones travel while the backward pass still makes the others. Gradients
are ready from the last layer to the first, so that the message of the first layers is the one that
nothing hides: it is kept small (Li et al., PyTorch Distributed, arXiv 2006.15704).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BUCKET_BYTES = 6 * 2**20
"""Large enough that alpha is a small part of it, and a fraction of all but the smallest networks:
MindSpore's own threshold of 64 MB makes one message of every network up to ResNet-18."""

LAST_BYTES = 2**20
"""Of the message that is ready last."""

WHOLE_BYTES = 4 * 2**20
"""Below this a network is one message: it is over before there is something to hide it."""


@dataclass(frozen=True)
class Buckets:
    """A cut of the parameters, in their order, into runs that are reduced together.

    Attributes:
        ends: the last parameter of each run but the last, ascending; () is one message of all.
        sizes_bytes: of the runs, in the order of the parameters.
    """

    ends: tuple[int, ...]
    sizes_bytes: tuple[int, ...]

    def __str__(self) -> str:
        """Return the sizes in the order in which they are sent."""
        sizes = (f"{size / 1e6:.2g}" for size in reversed(self.sizes_bytes))
        count = len(self.sizes_bytes)
        return f"{count} {'messages' if count > 1 else 'message'} of {', '.join(sizes)} MB"


def choose_buckets(
    sizes_bytes: Sequence[int],
    *,
    bucket_bytes: int = BUCKET_BYTES,
    last_bytes: int = LAST_BYTES,
    whole_bytes: int = WHOLE_BYTES,
) -> Buckets:
    """Cut parameters into messages, from the last to the first as their gradients become ready.

    Args:
        sizes_bytes: of the gradients, in the order of the parameters (first layer first).
        bucket_bytes: a message is closed once it has so many.
        last_bytes: at most so much is left for the first layers, where they are small enough.
        whole_bytes: a network with no more is one message.
    """
    total = sum(sizes_bytes)
    if total <= whole_bytes:
        return Buckets((), (total,))
    cuts, filled, left = [], 0, total
    for index in range(len(sizes_bytes) - 1, 0, -1):
        filled += sizes_bytes[index]
        left -= sizes_bytes[index]
        is_full = filled >= bucket_bytes
        begins_last = left <= last_bytes < left + sizes_bytes[index]
        if is_full or begins_last:
            cuts.append(index - 1)
            filled = 0
        if left <= last_bytes:
            break
    return _cut(tuple(reversed(cuts)), sizes_bytes)


def _cut(ends: tuple[int, ...], sizes_bytes: Sequence[int]) -> Buckets:
    edges = [0, *(end + 1 for end in ends), len(sizes_bytes)]
    return Buckets(ends, tuple(sum(sizes_bytes[start:end]) for start, end in pairwise(edges)))
