"""Where a run stood when it was saved: what a checkpoint holds beside its arrays and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cifar_dist.errors import CheckpointError


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class SavedBest(_Value):
    """The checkpoint with the best accuracy."""

    step: int
    accuracy: float


class Results(_Value):
    """What evaluations have found.

    ``last`` has the accuracy of each kind of weights ("last", "ema") in the latest evaluation;
    ``best`` is the best of "last" so far, ``best_saved`` the best that has a checkpoint.
    """

    last: dict[str, float] = Field(default_factory=dict)
    best: float | None = None
    best_saved: SavedBest | None = None

    def plus(self, found: dict[str, float], *, saved_step: int | None) -> Results:
        """Return the results after another evaluation, of a checkpoint's weights or of others."""
        accuracy, kept = found["last"], self.best_saved
        if saved_step is not None and (kept is None or accuracy > kept.accuracy):
            kept = SavedBest(step=saved_step, accuracy=accuracy)
        best = accuracy if self.best is None else max(self.best, accuracy)
        return Results(last=found, best=best, best_saved=kept)


class Recent(_Value):
    """What the watch over a run's numbers remembers.

    Attributes:
        losses: means of the latest reports, the newest last.
        skipped_in_a_row: steps without an update up to the latest report, without one between.
        skipped_steps: steps without an update in the whole run up to the latest report.
    """

    losses: list[float] = Field(default_factory=list)
    skipped_in_a_row: int = 0
    skipped_steps: int = 0


class Position(_Value):
    """Where a run stood.

    Attributes:
        seed: of the run; with the step it says which images come next.
        world_size: ranks that trained.
        global_batch_size: images of a step over all ranks.
        recipe_sha256: of the keys that must not change, see :mod:`cifar_dist.checkpoint.rules`.
        train_s: seconds of training so far.
        results: what evaluations had found before this step.
        recent: what the numbers were like lately.
        is_planned: whether the recipe wants a checkpoint here; otherwise a signal was the cause.
        is_evaluation_due: whether the weights were still to be evaluated after this step.
    """

    seed: int
    world_size: int = Field(ge=1)
    global_batch_size: int = Field(ge=1)
    recipe_sha256: str
    train_s: float
    results: Results
    recent: Recent
    is_planned: bool
    is_evaluation_due: bool

    @classmethod
    def of(cls, state: Mapping[str, Any], *, origin: object) -> Position:
        """Read the state of a checkpoint.

        Raises:
            CheckpointError: it has none; ``origin`` is what the message names.
        """
        try:
            return cls.model_validate(state)
        except ValidationError as error:
            key = ".".join(map(str, error.errors()[0]["loc"]))
            raise CheckpointError(
                f"checkpoint {origin} does not say where its run stood (state.json: {key!r}): "
                "it cannot be continued, only evaluated"
            ) from error
