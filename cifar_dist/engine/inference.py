"""A saved network, ready to answer: its weights restored, normalisation within its graph."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.config.schema import Config
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.state import AVERAGE, NETWORK, load_network
from cifar_dist.engine.step import Normalise
from cifar_dist.errors import CheckpointError
from cifar_dist.metrics.calibration import log_softmax
from cifar_dist.models import create_model


class InferenceStep(nn.Cell):
    """uint8[N, 3, 32, 32] -> logits float32[N, classes]; normalised as in training."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.normalise = Normalise()
        self.set_train(False)

    def construct(self, images_nchw: Tensor) -> Tensor:
        return ops.cast(self.network(self.normalise(images_nchw)), ms.float32)


def restored_network(
    config: Config, checkpoint: Checkpoint, *, origin: str, weights: str = "last"
) -> nn.Cell:
    """Build the network of a recipe with the weights of a checkpoint, in the recipe's precision.

    Args:
        config: the recipe; normally the one that lies in the checkpoint.
        checkpoint: of a training run.
        origin: what messages call it.
        weights: "last", or "ema" for their running average.

    Raises:
        ModelError: the recipe's model does not exist or cannot be so.
        CheckpointError: it is of another model, or has no running average.
    """
    average = weights == "ema"
    if average and not any(name.startswith(AVERAGE) for name in checkpoint.arrays):
        raise CheckpointError(
            f"{origin} has no running average of the weights: it was trained without "
            "train.ema_decay; use --weights last"
        )
    model = config.model
    raw = create_model(model.name, model.num_classes, seed=None, **model.options)
    _refuse_more_than(raw, checkpoint, AVERAGE if average else NETWORK, origin)
    load_network(raw, checkpoint, origin=origin, average=average)
    return apply_precision(raw, config.train)


def _refuse_more_than(network: nn.Cell, checkpoint: Checkpoint, prefix: str, origin: str) -> None:
    """Refuse a checkpoint of a deeper network: a shallower one would find all its arrays in it."""
    own = {prefix + one.name for one in network.get_parameters()}
    more = [name for name in checkpoint.arrays if name.startswith(prefix) and name not in own]
    if more:
        raise CheckpointError(
            f"{origin} has {min(more)!r} and {len(more) - 1} more that the model has not: it is of "
            "another model or recipe; use the recipe it was trained with"
        )


def probabilities(
    step: InferenceStep,
    images_nchw: NDArray[np.uint8],
    *,
    batch_size: int,
    on_batch: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """Return the probability of each class for each image: float64[N, classes].

    Args:
        step: the compiled network.
        images_nchw: uint8[N, 3, 32, 32], N >= 1.
        batch_size: images at once; the last batch is filled up, so that one graph is compiled.
        on_batch: called after each batch, as a sign of life.
    """
    size = min(batch_size, len(images_nchw))
    parts = []
    for start in range(0, len(images_nchw), size):
        places = np.arange(start, start + size) % len(images_nchw)
        parts.append(step(Tensor(images_nchw[places])).asnumpy())
        on_batch()
    logits = np.concatenate(parts)[: len(images_nchw)]
    with np.errstate(invalid="ignore"):  # outputs that are no numbers are told by the caller
        return np.exp(log_softmax(logits.astype(np.float64)))
