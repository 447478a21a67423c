"""All numbers of one evaluation, from sums over all ranks: what ``evaluate --json`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.averages import (
    AVERAGES,
    Average,
    Number,
    averaged,
    balanced_accuracy,
    matthews_correlation,
)
from cifar_dist.metrics.calibration import ProbabilitySums, calibration
from cifar_dist.metrics.confusion import (
    Matrix,
    accuracy,
    error_rate,
    f_beta,
    one_against_rest,
    per_class,
)
from cifar_dist.metrics.tally import Tally

NUMBERS = ("precision", "recall", "specificity", "f1", "f_beta")
"""What there is for each class and each average."""


@dataclass(frozen=True)
class Report:
    """Everything about one set of images.

    ``loss``, ``top_5``, ``nll``, ``brier`` and ``ece`` are None where the network's outputs are no
    numbers. ``averages`` has NUMBERS by the kind of average, ``per_class`` a row for each class.
    ``notes`` names every number that has no value, and what stands for it.
    """

    count: int
    loss: float | None
    accuracy: float
    error_rate: float
    balanced_accuracy: float
    mcc: float
    top_5: float | None
    nll: float | None
    brier: float | None
    ece: float | None
    beta: float
    averages: dict[str, dict[str, float]]
    per_class: list[dict[str, Any]]
    confusion_matrix: list[list[int]]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def report(
    tally: Tally, sums: ProbabilitySums, classes: Sequence[str], *, beta: float = 1.0
) -> Report:
    """Return all numbers of an evaluation.

    Args:
        tally: counts and losses over all ranks.
        sums: of the probabilities over all ranks, k = 5; images whose outputs are no numbers are
            left out of them.
        classes: a name for each row of the confusion matrix.
        beta: of F-beta, above 0 and finite.

    Raises:
        NotComputableError: nothing was counted, or beta is out of range.
    """
    matrix = tally.confusion
    balanced, correlation = balanced_accuracy(matrix), matthews_correlation(matrix)
    averages = {average: _average(matrix, average, beta) for average in AVERAGES}
    named = {"balanced_accuracy": balanced, "mcc": correlation}
    for average, numbers in averages.items():
        named |= {f"{average} {name}": number for name, number in numbers.items()}
    of_probabilities, missing = _of_probabilities(sums, tally.count)
    return Report(
        count=tally.count,
        loss=tally.mean_loss(),
        accuracy=accuracy(matrix),
        error_rate=error_rate(matrix),
        balanced_accuracy=balanced.value,
        mcc=correlation.value,
        **of_probabilities,
        beta=beta,
        averages={
            average: {name: number.value for name, number in numbers.items()}
            for average, numbers in averages.items()
        },
        per_class=_class_rows(matrix, classes, beta),
        confusion_matrix=matrix.tolist(),
        notes=[*missing, *(f"{name}: {one.note}" for name, one in named.items() if one.note)],
    )


def _average(matrix: Matrix, average: Average, beta: float) -> dict[str, Number]:
    at_one, at_beta = averaged(matrix, average), averaged(matrix, average, beta=beta)
    values = (at_one.precision, at_one.recall, at_one.specificity, at_one.f_beta, at_beta.f_beta)
    return dict(zip(NUMBERS, values, strict=True))


def _class_rows(matrix: Matrix, classes: Sequence[str], beta: float) -> list[dict[str, Any]]:
    scores = f_beta(one_against_rest(matrix), beta).values
    rows = [one.to_json() for one in per_class(matrix, classes)]
    return [{**row, "f_beta": float(score)} for row, score in zip(rows, scores, strict=True)]


def _of_probabilities(
    sums: ProbabilitySums, count: int
) -> tuple[dict[str, float | None], list[str]]:
    """Return top-5 and calibration, and a note where some images have no probabilities."""
    broken = count - int(sums.count)
    note = f"top_5, nll, brier, ece: the network's outputs for {broken:,} images are no numbers"
    notes = [f"{note}; they are left out"] if broken else []
    try:
        found = calibration(sums)
    except NotComputableError:
        return dict.fromkeys(("top_5", "nll", "brier", "ece")), notes
    numbers = {"top_5": found.top_k, "nll": found.nll, "brier": found.brier, "ece": found.ece}
    return dict(numbers), notes
