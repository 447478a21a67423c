"""The evaluation of a saved network with everything that can be said about it.

Every image counts once over all ranks, and ranks add whole numbers only: a single rank comes to the
same numbers, to the last digit. Batch-norm statistics are taken as they were saved: averaging equal
numbers over three ranks could change their last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from cifar_dist.data.dataset import Dataset
from cifar_dist.data.shard import eval_shard
from cifar_dist.engine.step import EvalStep
from cifar_dist.metrics.calibration import (
    ProbabilitySums,
    accumulate_probabilities,
    log_softmax,
)
from cifar_dist.metrics.decision import score_bits, scores_of
from cifar_dist.metrics.tally import Tally
from cifar_dist.runtime.collectives import Collectives


@dataclass(frozen=True)
class Share:
    """Which part of the images is this rank's."""

    batch_size: int
    rank: int
    group: Collectives


@dataclass(frozen=True, eq=False)
class Counted:
    """What was counted over all ranks.

    Attributes:
        tally: counts and losses.
        sums: of the probabilities of those images whose logits are finite.
        scores: float64[N], the probability of the class asked for, for every image in its place;
            NaN where the logits are not finite. Empty where no class was asked for.
    """

    tally: Tally
    sums: ProbabilitySums
    scores: NDArray[np.float64]


def evaluate_fully(
    step: EvalStep,
    images: Dataset,
    share: Share,
    *,
    num_classes: int,
    score_class: int | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> Counted:
    """Count every image once; every rank calls it and gets the same.

    Args:
        step: the compiled network.
        images: all of them; a rank evaluates its share.
        share: see :class:`Share`.
        num_classes: outputs of the network.
        score_class: whose probability is gathered image by image.
        on_batch: called after each batch, as a sign of life.
    """
    world_size = share.group.world_size
    indices, masks = eval_shard(
        len(images), batch_size=share.batch_size, rank=share.rank, world_size=world_size
    )
    tally = Tally.empty(num_classes)
    sums = accumulate_probabilities(np.zeros((0, num_classes)), [])
    bits = np.zeros(0 if score_class is None else len(images), dtype=np.int64)
    for of_batch, mask in zip(indices, masks, strict=True):
        labels = images.labels[of_batch]
        outputs = step(Tensor(images.images_nchw[of_batch]), Tensor(labels))
        logits, predicted, losses = (output.asnumpy() for output in outputs)
        tally = tally.plus(labels, predicted, losses, mask)
        sound = np.isfinite(logits).all(axis=1)
        sums = sums + accumulate_probabilities(logits, labels, mask=mask & sound)
        if score_class is not None:
            bits[of_batch[mask]] = score_bits(_scores(logits, sound, score_class)[mask])
        on_batch()
    add = share.group.sum_counts
    return Counted(
        tally=Tally.from_counts(add(tally.to_counts())),
        sums=ProbabilitySums.from_counts(add(sums.to_counts())),
        scores=scores_of(add(bits)) if score_class is not None else np.zeros(0),
    )


def _scores(
    logits: NDArray[np.float32], sound: NDArray[np.bool_], score_class: int
) -> NDArray[np.float64]:
    """Return the probability of a class, NaN where an image has none."""
    safe = np.where(sound[:, None], logits, 0).astype(np.float64)
    return np.where(sound, np.exp(log_softmax(safe)[:, score_class]), np.nan)
