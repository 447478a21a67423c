"""Cells that compute the same in two ways: as their paper has it, and as a CPU is fast at it.

The second is used in training and on CPUs only: an NPU has fast operators of its own, and what is
evaluated or exported is the network as its paper has it.
"""

from __future__ import annotations

from mindspore import nn


class HasCpuForm(nn.Cell):
    """A cell that computes the same in two ways; ``for_cpu`` is the one of its training."""

    for_cpu = False


def use_cpu_forms(network: nn.Cell) -> None:
    """Let all cells of a network train in their form for CPUs; not after it was compiled."""
    for _, cell in network.cells_and_names():
        if isinstance(cell, HasCpuForm):
            cell.for_cpu = True
