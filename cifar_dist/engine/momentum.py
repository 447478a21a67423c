"""SGD with momentum as one cell of the training graph.

``nn.Momentum`` and ``nn.SGD`` are announced for removal or change after MindSpore 2.9, and neither
takes a rate that the graph has just computed; the operator below them does and stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from cifar_dist.config.schema import OptimizerConfig
from cifar_dist.engine.parameter_groups import rate_factor


def decays(parameter: Parameter) -> bool:
    """Return whether weight decay should pull on a parameter: not on norms and biases.

    Those have one dimension; the weights of convolutions and dense layers have more
    (arXiv 1807.11205, section 3.1).
    """
    return len(parameter.shape) > 1


def decay_factors(weights: Sequence[Parameter], config: OptimizerConfig) -> tuple[float, ...]:
    """Return the weight decay of each parameter.

    Where a parameter's rate is multiplied by a factor, its decay is divided by it: an update takes
    the same share off all weights that decay.
    """
    return tuple(
        config.weight_decay / rate_factor(weight, config)
        if config.decay_norm_and_bias or decays(weight)
        else 0.0
        for weight in weights
    )


class Momentum(nn.Cell):
    """Update weights in place: v <- m v + g, w <- w - lr v; as Nesterov w <- w - lr (g + m v).

    Weight decay adds ``weight_decay * w`` to the gradient (L2).

    Args:
        weights: trainable parameters; the gradients come in their order.
        config: momentum, nesterov, weight_decay, decay_norm_and_bias, norm_bias_lr_factor.
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
        self.velocities = self.weights.clone(prefix="velocity", init="zeros")
        self.momentum = config.momentum
        self.decay = decay_factors(weights, config)
        self.is_nesterov = config.nesterov
        self.apply_momentum = ops.ApplyMomentum()

    @property
    def slots(self) -> tuple[Parameter, ...]:
        """What the update remembers."""
        return tuple(self.velocities)

    def construct(self, gradients: tuple[Tensor, ...], rates: tuple[Tensor, ...]) -> None:
        for i in range(len(self.weights)):
            gradient, rate = gradients[i], rates[self.groups[i]]
            if self.decay[i] > 0:
                gradient = gradient + self.decay[i] * self.weights[i]
            if self.is_nesterov:
                self.look_ahead(i, gradient, rate)
            else:
                self.apply_momentum(
                    self.weights[i], self.velocities[i], rate, gradient, self.momentum
                )

    def look_ahead(self, i: int, gradient: Tensor, rate: Tensor) -> None:
        """Update as Nesterov: ApplyMomentum's own flag for it is ignored on a CPU (2.10)."""
        velocity = self.momentum * self.velocities[i] + gradient
        ops.assign(self.velocities[i], velocity)
        ops.assign_sub(self.weights[i], rate * (gradient + self.momentum * velocity))
