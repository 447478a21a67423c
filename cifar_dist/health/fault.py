"""When numbers are wrong: rules over what all ranks know together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.health.checksum import NOT_FINITE, dissenters

Kind = Literal["loss", "overflow", "explosion", "skips", "weights", "drift"]

FEWEST_READINGS = 5
"""A median of fewer says little; the first steps of a warm-up are no measure either."""

MOST_READINGS = 20
MOST_NAMES = 5


@dataclass(frozen=True)
class Fault:
    """What is wrong with a run.

    Attributes:
        kind: "loss": not finite; "overflow": the same, but the step made no update, and nothing is
            lost; "explosion": far above those before; "skips": one update after another left out;
            "weights": not finite; "drift": not equal on all ranks.
        step: finished optimizer steps, the one with the fault included.
        text: what is wrong and where, a sentence without its end.
        ranks: where it shows; for "drift" those that differ from the others, or all of them where
            it cannot be told which are right.
        parameters: where it shows, for "weights" and "drift".
    """

    kind: Kind
    step: int
    text: str
    ranks: tuple[int, ...]
    parameters: tuple[str, ...] = ()

    @property
    def is_of_a_batch(self) -> bool:
        """Whether leaving out the batch of the step may help."""
        return self.kind in ("loss", "explosion")


def judge_losses(
    losses: NDArray[np.float32], *, steps: Sequence[int], skipped_steps: int
) -> Fault | None:
    """Return a loss that is not finite; an "overflow" where no update was made with any such.

    A gradient that overflows leaves its loss finite, for that is computed in float32: an image
    that is not finite, or a network that overflows forwards, does not.

    Args:
        losses: float32[ranks, steps], of each rank's own part of the batch.
        steps: of the run, those of the columns.
        skipped_steps: how many updates were left out in these steps. Every step with a loss that
            is not finite is among them, or there are more such steps than were left out.
    """
    bad = ~np.isfinite(losses)
    columns = np.flatnonzero(bad.any(axis=0))
    if not len(columns):
        return None
    first = int(columns[0])
    step = steps[first]
    ranks = tuple(np.flatnonzero(bad[:, first]).tolist())
    values = ", ".join(f"{losses[rank, first]:g}" for rank in ranks[:MOST_NAMES])
    text = f"the loss of step {step} is not finite on {_ranks(ranks)} ({values})"
    if len(columns) > skipped_steps:
        return Fault("loss", step, text, ranks)
    return Fault("overflow", step, f"{text}; its update was left out, as for an overflow", ranks)


def judge_height(
    losses: NDArray[np.float32],
    before: Sequence[float],
    *,
    steps: Sequence[int],
    factor: float,
    guess: float,
) -> Fault | None:
    """Return a loss that is far above those before it.

    What is no worse than guessing is no explosion, however small the losses before it were.

    Args:
        losses: finite, float32[ranks, steps].
        before: means of earlier reports, the newest last.
        steps: of the run, those of the columns.
        factor: above 1; how far above their median.
        guess: the loss of equal odds for all classes, ln(classes).
    """
    mean = float(losses.mean(dtype=np.float64))
    recent = list(before)[-MOST_READINGS:]
    if len(recent) < FEWEST_READINGS or mean <= guess:
        return None
    usual = statistics.median(recent)
    if mean <= factor * usual:
        return None
    highest = int(losses.mean(axis=0, dtype=np.float64).argmax())
    step = steps[highest]
    rank = int(losses[:, highest].argmax())
    text = (
        f"the loss rose to {mean:.4g}, more than {factor:g} times the {usual:.4g} that is the "
        f"median of {len(recent)} reports; highest at step {step}, on rank {rank}"
    )
    return Fault("explosion", step, text, (rank,))


def judge_skips(in_a_row: int, limit: int, *, step: int, loss_scale: float) -> Fault | None:
    """Return that no update has been made for ``limit`` steps."""
    if in_a_row < limit:
        return None
    text = (
        f"the last {in_a_row} updates up to step {step} were all left out: gradients are not "
        f"finite, at a loss scale of {loss_scale:g} too"
    )
    return Fault("skips", step, text, ())


def judge_weights(marks: NDArray[np.int64], names: Sequence[str], *, step: int) -> Fault | None:
    """Return parameters that are not finite, or else a rank whose weights are its own.

    Args:
        marks: int64[ranks, parameters], see :func:`cifar_dist.health.checksum.mark`.
        names: of the parameters.
        step: after which they are so.
    """
    broken = (marks & NOT_FINITE) != 0
    if broken.any():
        ranks = tuple(np.flatnonzero(broken.any(axis=1)).tolist())
        where = tuple(names[i] for i in np.flatnonzero(broken.any(axis=0)))
        text = f"weights are not finite after step {step} on {_ranks(ranks)}: {_some(where)}"
        return Fault("weights", step, text, ranks, where)
    ranks = dissenters(marks)
    if not ranks:
        return None
    right = [rank for rank in range(len(marks)) if rank not in ranks]
    unequal = (marks[list(ranks)] != marks[right[0] if right else 0]).any(axis=0)
    where = tuple(names[i] for i in np.flatnonzero(unequal))
    if right:
        text = f"weights of {_ranks(ranks)} are not those of {_ranks(right)} after step {step}: "
    else:
        text = (
            f"weights of {_ranks(ranks)} are not equal after step {step}, and it cannot be told "
            "which are right, for no others are on more ranks: "
        )
    return Fault("drift", step, text + _some(where), ranks, where)


def _ranks(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:MOST_NAMES]))
    more = f" and {len(ranks) - MOST_NAMES} more" if len(ranks) > MOST_NAMES else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}{more}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown
