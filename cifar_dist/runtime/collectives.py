"""What all ranks compute together outside the training step: sums, and values passed round exactly.

CPU collectives only add float32. Bits travel as halves of words, which float32 holds exactly, in a
sum to which all other ranks add zeros.
"""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.runtime.context import DistContext
from cifar_dist.runtime.limbs import join_counts, join_words, split_counts, split_words

Floats = NDArray[np.float32]

CHUNK = 2 << 20
"""Bytes that :meth:`Collectives.share` passes round at once, as 4 MiB of float32."""


class Collectives(Protocol):
    """Sums over all ranks. All ranks must call in the same order, with arrays of one shape."""

    world_size: int

    def sum_floats(self, values: Floats) -> Floats:
        """Add float32 arrays."""
        ...

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add whole numbers of 0 to 2^62 - 1 exactly."""
        ...

    def gather(self, values: Floats) -> Floats:
        """Return float32[N] of every rank, in the order of ranks and bit for bit: [ranks, N]."""
        ...

    def share(self, data: bytes) -> bytes:
        """Return what rank 0 gives; what other ranks give is not looked at."""
        ...

    def leave(self) -> None:
        """Call after the last sum where the process is about to be ended by force."""
        ...


LEAVE_S = 0.5
"""Far longer than a thread needs to send what is queued."""


class Alone:
    """The collectives of a single worker: sums of one."""

    world_size = 1

    def sum_floats(self, values: Floats) -> Floats:
        return values

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return counts

    def gather(self, values: Floats) -> Floats:
        return values[np.newaxis]

    def share(self, data: bytes) -> bytes:
        return data

    def leave(self) -> None:
        return


class _AllReduce(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(self, values: Tensor) -> Tensor:
        return self.all_reduce(values)


class DeviceGroup:
    """The collectives of the device: HCCL on Ascend, mccl on a CPU; one all-reduce a call."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.world_size = world_size
        self._rank = rank
        self._all_reduce = _AllReduce()

    def sum_floats(self, values: Floats) -> Floats:
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        total: Floats = self._all_reduce(Tensor(flat)).asnumpy()
        return total.reshape(values.shape)

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return join_counts(self.sum_floats(split_counts(counts, self.world_size)), self.world_size)

    def gather(self, values: Floats) -> Floats:
        words = split_words(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        rows = np.zeros((self.world_size, words.size), dtype=np.float32)
        rows[self._rank] = words
        gathered = np.frombuffer(join_words(self.sum_floats(rows)), dtype=np.float32)
        return gathered.reshape(self.world_size, values.size)

    def share(self, data: bytes) -> bytes:
        given = data if self._rank == 0 else b""
        length = int(self.sum_counts(np.array([len(given)]))[0])
        parts = [
            self._share_part(given[start : start + CHUNK], min(CHUNK, length))
            for start in range(0, length, CHUNK)
        ]
        return b"".join(parts)[:length]

    def leave(self) -> None:
        """Give MindSpore's threads time: a sum returns before its last messages have been sent.

        Another rank would wait for them for ever (mccl of MindSpore 2.10, seen one time in four).
        """
        time.sleep(LEAVE_S)

    def _share_part(self, given: bytes, size: int) -> bytes:
        """Pass round at most ``size`` bytes; all parts are of one size, for one compiled graph."""
        return join_words(self.sum_floats(split_words(given.ljust(size, b"\0"))))


def collectives_of(context: DistContext) -> Collectives:
    """Return the collectives that fit the size of the group."""
    return DeviceGroup(context.rank, context.world_size) if context.world_size > 1 else Alone()
