"""Mixed precision: which parts of a network compute in a low precision.

Weights, their updates, the loss and everything reduced over ranks stay float32 at every level.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import amp, nn

from cifar_dist.config.schema import TrainConfig

_DTYPES = {"float16": ms.float16, "bfloat16": ms.bfloat16}


def apply_precision(network: nn.Cell, train: TrainConfig) -> nn.Cell:
    """Return the network computing as the recipe says; its parameters are the same objects.

    O0 leaves it in float32; O2 casts all layers but the normalisations; O3 casts all.
    """
    if train.amp == "O0":
        return network
    return amp.auto_mixed_precision(network, train.amp, _DTYPES[train.dtype])
