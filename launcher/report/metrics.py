"""From the lines of metrics.jsonl to curves and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from launcher.report.files import mapping, number, sequence, text, whole
from launcher.report.run import ClassRow, EvalPoint, Metrics, TrainPoint

MOST_CLASSES = 1000
MOST_RANKS = 4096


def collect(records: Iterable[Mapping[str, Any]]) -> Metrics:
    """Return what the records say; a record of an unknown kind is passed over."""
    train: list[TrainPoint] = []
    evals: list[EvalPoint] = []
    counted: tuple[EvalPoint, Mapping[str, Any]] | None = None
    end: Mapping[str, Any] = {}
    saves: list[Mapping[str, Any]] = []
    repeated = 0
    for record in records:
        kind, step = record.get("event"), whole(record.get("step"))
        if kind == "train" and step is not None:
            repeated += _drop_from(train, step)
            train.append(_train_point(record, step))
        elif kind == "eval" and step is not None:
            point = _eval_point(record, step)
            repeated += _drop_later(evals, point)
            evals.append(point)
            if _matrix(record):
                counted = (point, record)
        elif kind == "checkpoint":
            saves.append(record)
        elif kind == "end":
            end = record
    save_s = [number(one.get("save_s")) for one in saves]
    return Metrics(
        train=train,
        evals=evals,
        matrix=_matrix(counted[1]) if counted else (),
        classes=_classes(counted[1]) if counted else (),
        counted=counted[0] if counted else None,
        end=end,
        checkpoints=len(saves),
        checkpoint_s=sum(s for s in save_s if s is not None) if any(save_s) else None,
        checkpoint_step=whole(saves[-1].get("step")) if saves else None,
        repeated=repeated,
    )


def _drop_from(train: list[TrainPoint], step: int) -> int:
    """Forget the points at a step and after it: they are done again. Return how many."""
    before = len(train)
    while train and train[-1].step >= step:
        train.pop()
    return before - len(train)


def _drop_later(evals: list[EvalPoint], new: EvalPoint) -> int:
    """Forget evaluations of the same images and weights at or after the new one's step."""
    same = (new.split, new.weights)
    last = next((one for one in reversed(evals) if (one.split, one.weights) == same), None)
    if last is None or last.step < new.step:
        return 0
    before = len(evals)
    evals[:] = [one for one in evals if one.step < new.step or (one.split, one.weights) != same]
    return before - len(evals)


def _train_point(record: Mapping[str, Any], step: int) -> TrainPoint:
    names = ("loss", "lr", "images_per_s", "step_ms", "data_wait_ms")
    ranks = sequence(record.get("rank_step_ms"))[:MOST_RANKS]
    return TrainPoint(
        step=step,
        epoch=whole(record.get("epoch")),
        rank_step_ms=tuple(number(one) for one in ranks),
        **{name: number(record.get(name)) for name in names},
    )


def _eval_point(record: Mapping[str, Any], step: int) -> EvalPoint:
    return EvalPoint(
        step=step,
        epoch=whole(record.get("epoch")),
        count=whole(record.get("count")),
        split=text(record.get("split"), 40) or "test",
        weights=text(record.get("weights"), 40) or "last",
        **{name: number(record.get(name)) for name in ("accuracy", "loss", "macro_f1", "eval_s")},
    )


def _matrix(record: Mapping[str, Any]) -> list[list[int]]:
    """Return a square matrix of counts; nothing where the record holds no such one."""
    rows = sequence(record.get("confusion_matrix"))
    if not 1 <= len(rows) <= MOST_CLASSES:
        return []
    found: list[list[int]] = []
    for row in rows:
        counts = [whole(one) for one in sequence(row)]
        if len(counts) != len(rows):
            return []
        kept = [one for one in counts if one is not None and one >= 0]
        if len(kept) != len(counts):
            return []
        found.append(kept)
    return found


def _classes(record: Mapping[str, Any]) -> list[ClassRow]:
    """Return one row per class of the matrix, named as the record names it."""
    rows = [mapping(one) for one in sequence(record.get("per_class"))]
    count = len(sequence(record.get("confusion_matrix")))
    rows = [*rows, *({} for _ in range(count - len(rows)))][:count]
    return [
        ClassRow(
            name=text(row.get("name"), 60) or f"class {index}",
            support=whole(row.get("support")),
            predicted=whole(row.get("predicted")),
            **{name: number(row.get(name)) for name in ("precision", "recall", "f1")},
        )
        for index, row in enumerate(rows)
    ]
