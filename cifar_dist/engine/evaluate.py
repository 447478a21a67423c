"""Evaluation of every test image exactly once, on any number of ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from mindspore import Tensor

from cifar_dist.data.batches import EvalBatch
from cifar_dist.engine.answers import SurestAnswers, draw_answers
from cifar_dist.engine.batch_norm import averaged_statistics
from cifar_dist.engine.step import EvalStep
from cifar_dist.engine.task import EvalTask
from cifar_dist.metrics.confusion import row_names
from cifar_dist.metrics.score_bins import ScoreBins
from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.records import EvalRecord, Seen, eval_record
from cifar_dist.runtime.collectives import Collectives


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Counts over all ranks' images, and the surest answers of this rank."""

    tally: Tally
    scores: ScoreBins
    answers: SurestAnswers


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
    num_classes = task.config.model.num_classes
    with averaged_statistics(task.network, task.group):
        found = evaluate(
            task.step,
            task.batches(),
            num_classes=num_classes,
            group=task.group,
            on_batch=on_batch,
        )
    eval_s = time.perf_counter() - start
    record = eval_record(found.tally, task.images.classes, epoch=0, step=0, eval_s=eval_s)
    names = row_names(task.images.classes, num_classes)
    shown = {"right_answers": found.answers.right, "wrong_answers": found.answers.wrong}
    pictures = {name: partial(draw_answers, some, names) for name, some in shown.items() if some}
    return replace(record, split=task.split, seen=Seen(found.scores, pictures))


def evaluate(
    step: EvalStep,
    batches: Iterable[EvalBatch],
    *,
    num_classes: int,
    group: Collectives,
    on_batch: Callable[[], None] = lambda: None,
) -> Evaluated:
    """Return the counts over all ranks' images, equal on every rank.

    Args:
        step: the compiled evaluation.
        batches: this rank's part; all ranks must have equally many.
        num_classes: rows of the confusion matrix.
        group: adds up the ranks' counts, once at the end.
        on_batch: called after each batch, as a sign of life.
    """
    step.set_train(False)
    tally, scores = Tally.empty(num_classes), ScoreBins.empty(num_classes)
    answers = SurestAnswers()
    for batch in batches:
        outputs = step(Tensor(batch.images_nchw), Tensor(batch.labels))
        logits, predicted, losses = (output.asnumpy() for output in outputs)
        tally = tally.plus(batch.labels, predicted, losses, batch.mask)
        scores = scores.plus(logits, batch.labels, batch.mask)
        answers = answers.plus(batch, logits)
        on_batch()
    parts = tally.to_counts(), scores.counts.ravel()
    total, of_scores = np.split(group.sum_counts(np.concatenate(parts)), [len(parts[0])])
    bins = ScoreBins(of_scores.reshape(scores.counts.shape))
    return Evaluated(Tally.from_counts(total), bins, answers)
