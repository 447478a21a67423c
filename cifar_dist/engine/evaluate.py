"""Evaluation of every test image exactly once, on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mindspore import Tensor

from cifar_dist.data.batches import EvalBatch
from cifar_dist.engine.step import EvalStep
from cifar_dist.metrics.tally import Tally
from cifar_dist.runtime.collectives import Collectives


def evaluate(
    step: EvalStep,
    batches: Iterable[EvalBatch],
    *,
    num_classes: int,
    group: Collectives,
    on_batch: Callable[[], None] = lambda: None,
) -> Tally:
    """Return the counts over all ranks' images, equal on every rank.

    Args:
        step: the compiled evaluation.
        batches: this rank's part; all ranks must have equally many.
        num_classes: rows of the confusion matrix.
        group: adds up the ranks' counts, once at the end.
        on_batch: called after each batch, as a sign of life.
    """
    step.set_train(False)
    tally = Tally.empty(num_classes)
    for batch in batches:
        predicted, losses = step(Tensor(batch.images_nchw), Tensor(batch.labels))
        tally = tally.plus(batch.labels, predicted.asnumpy(), losses.asnumpy(), batch.mask)
        on_batch()
    return Tally.from_counts(group.sum_counts(tally.to_counts()))
