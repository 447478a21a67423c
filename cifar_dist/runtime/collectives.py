"""What all ranks compute together outside the training step: sums, equal on every rank."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.runtime.context import DistContext
from cifar_dist.runtime.limbs import join_counts, split_counts


class Collectives(Protocol):
    """Sums over all ranks. All ranks must call in the same order, with arrays of one shape."""

    world_size: int

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add float32 arrays."""
        ...

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add whole numbers of 0 to 2^62 - 1 exactly."""
        ...


class Alone:
    """The collectives of a single worker: sums of one."""

    world_size = 1

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return counts


class _AllReduce(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def construct(self, values: Tensor) -> Tensor:
        return self.all_reduce(values)


class DeviceGroup:
    """The collectives of the device: HCCL on Ascend, mccl on a CPU; one all-reduce a call."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size
        self._all_reduce = _AllReduce()

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        total: NDArray[np.float32] = self._all_reduce(Tensor(flat)).asnumpy()
        return total.reshape(values.shape)

    def sum_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        return join_counts(self.sum_floats(split_counts(counts, self.world_size)), self.world_size)


def collectives_of(context: DistContext) -> Collectives:
    """Return the collectives that fit the size of the group."""
    return DeviceGroup(context.world_size) if context.world_size > 1 else Alone()
