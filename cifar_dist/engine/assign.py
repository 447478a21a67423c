"""Values set from outside the training graph, between two of its steps."""

from __future__ import annotations

from typing import Any

from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray


def assign(parameter: Parameter, array: NDArray[Any]) -> None:
    """Write an array into a parameter's own memory.

    ``Parameter.set_data`` gives it other memory: a graph that has run before, and uses the
    parameter within a branch only, would go on with the old one (MindSpore 2.10, CPU).
    """
    ops.assign(parameter, Tensor(array))
