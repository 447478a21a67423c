"""Evaluation of every test image exactly once, on any number of ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from mindspore import Tensor

from cifar_dist.data.batches import EvalBatch
from cifar_dist.engine.batch_norm import averaged_statistics
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.step import EvalStep
from cifar_dist.engine.task import EvalTask
from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.records import EvalRecord, eval_record
from cifar_dist.runtime.collectives import Collectives


def run_evaluation(
    task: EvalTask, outlets: Outlets, *, step: int, epoch: int = 0, weights: str = "last"
) -> EvalRecord:
    """Count every image of the task once over all ranks, and tell the observers.

    Args:
        task: the network and the images.
        outlets: who is told.
        step: after which the weights are so.
        epoch: the same, in epochs begun.
        weights: what the record calls them, "last" or "ema", with "_flips" behind it.
    """
    start = time.perf_counter()
    outlets.progress.phase("evaluate")
    with averaged_statistics(task.network, task.group):
        tally = evaluate(
            task.step,
            task.batches(),
            num_classes=task.config.model.num_classes,
            group=task.group,
            on_batch=outlets.progress.alive,
        )
    record = eval_record(
        tally,
        task.images.classes,
        epoch=epoch,
        step=step,
        eval_s=time.perf_counter() - start,
    )
    record = replace(record, split=task.split, weights=weights)
    outlets.record(record)
    outlets.progress.phase("train")
    return record


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
