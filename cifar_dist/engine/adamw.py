"""Adam with decoupled weight decay as one cell of the training graph (arXiv 1711.05101).

A cell of our own for the reasons of :mod:`cifar_dist.engine.momentum`: the rate comes out of the
graph, and what the library offers differs between versions and devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from cifar_dist.config.schema import OptimizerConfig
from cifar_dist.engine.momentum import decay_factors


class AdamW(nn.Cell):
    """Update weights in place, from running means m of the gradients g and v of their squares.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, and after t updates
    w <- w - lr (weight_decay w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)).

    Args:
        weights: trainable parameters; the gradients come in their order.
        config: beta1, beta2, eps, weight_decay, decay_norm_and_bias, norm_bias_lr_factor.
        groups: which of the rates each weight learns at; () where there is only one.
    """

    def __init__(
        self,
        weights: Sequence[Parameter],
        config: OptimizerConfig,
        groups: tuple[int, ...] = (),
    ) -> None:
        super().__init__(auto_prefix=False)
        self.groups = groups or (0,) * len(weights)
        self.weights = ParameterTuple(weights)
        self.means = self.weights.clone(prefix="mean", init="zeros")
        self.squares = self.weights.clone(prefix="square", init="zeros")
        self.updates = Parameter(Tensor(0, ms.int32), "updates", requires_grad=False)
        self.beta1, self.beta2, self.eps = config.beta1, config.beta2, config.eps
        self.decay = decay_factors(weights, config)

    @property
    def slots(self) -> tuple[Parameter, ...]:
        """What the update remembers."""
        return (*self.means, *self.squares, self.updates)

    def construct(self, gradients: tuple[Tensor, ...], rates: tuple[Tensor, ...]) -> None:
        self.updates += 1
        count = ops.cast(self.updates, ms.float32)
        unbias1 = 1.0 / (1.0 - ops.pow(self.beta1, count))
        unbias2 = 1.0 / (1.0 - ops.pow(self.beta2, count))
        for i in range(len(self.weights)):
            gradient, rate = gradients[i], rates[self.groups[i]]
            mean = self.beta1 * self.means[i] + (1.0 - self.beta1) * gradient
            square = self.beta2 * self.squares[i] + (1.0 - self.beta2) * gradient * gradient
            ops.assign(self.means[i], mean)
            ops.assign(self.squares[i], square)
            move = mean * unbias1 / (ops.sqrt(square * unbias2) + self.eps)
            ops.assign_sub(self.weights[i], rate * (move + self.decay[i] * self.weights[i]))
