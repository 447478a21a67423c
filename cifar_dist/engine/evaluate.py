"""Evaluation of every test image exactly once, on any number of ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from mindspore import Tensor

from cifar_dist.data.batches import EvalBatch
from cifar_dist.engine.batch_norm import averaged_statistics
from cifar_dist.engine.step import EvalStep
from cifar_dist.engine.task import EvalTask
from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.records import EvalRecord, eval_record
from cifar_dist.runtime.collectives import Collectives


def run_evaluation(task: EvalTask, *, on_batch: Callable[[], None]) -> EvalRecord:
    """Count every image of the task once over all ranks.

    The network is left as it was, also by an exception that ``on_batch`` raises.

    Args:
        task: the network and the images.
        on_batch: called after each batch.

    Returns:
        what was found, without the epoch and step.
    """
    start = time.perf_counter()
    with averaged_statistics(task.network, task.group):
        tally = evaluate(
            task.step,
            task.batches(),
            num_classes=task.config.model.num_classes,
            group=task.group,
            on_batch=on_batch,
        )
    eval_s = time.perf_counter() - start
    record = eval_record(tally, task.images.classes, epoch=0, step=0, eval_s=eval_s)
    return replace(record, split=task.split)


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
