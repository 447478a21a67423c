"""A run as a value: what its directory says, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class State(Enum):
    """How a run stands; the words are those that users read."""

    ENDED_WELL = "ended well"
    FAILED = "failed"
    RUNNING = "running"
    LOST = "ended without a word"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class TrainPoint:
    """Training since the last such point; times are means per step, None where not recorded.

    ``rank_step_ms`` holds one time for each rank, and is empty where only rank 0 was timed.
    """

    step: int
    epoch: int | None = None
    loss: float | None = None
    lr: float | None = None
    images_per_s: float | None = None
    step_ms: float | None = None
    data_wait_ms: float | None = None
    rank_step_ms: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class EvalPoint:
    """One evaluation."""

    step: int
    epoch: int | None = None
    accuracy: float | None = None
    loss: float | None = None
    macro_f1: float | None = None
    count: int | None = None
    eval_s: float | None = None
    split: str = "test"
    weights: str = "last"


@dataclass(frozen=True)
class ClassRow:
    """The numbers of one class; None where the record lacks one."""

    name: str
    support: int | None = None
    predicted: int | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


@dataclass(frozen=True)
class Metrics:
    """What metrics.jsonl holds; of repeated steps the last word counts."""

    train: Sequence[TrainPoint] = ()
    evals: Sequence[EvalPoint] = ()
    matrix: Sequence[Sequence[int]] = ()
    classes: Sequence[ClassRow] = ()
    counted: EvalPoint | None = None
    """The evaluation from which matrix and classes are."""
    end: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: int = 0
    checkpoint_s: float | None = None
    checkpoint_step: int | None = None
    repeated: int = 0
    """Points that were left out: a later attempt did their steps again."""


@dataclass(frozen=True)
class Event:
    """One line of events.jsonl."""

    time_s: float
    name: str
    attempt: int
    rank: int | None
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Life:
    """One process of one attempt; ``end_s`` and ``returncode`` are None while it runs."""

    attempt: int
    title: str
    start_s: float
    pid: int | None = None
    end_s: float | None = None
    returncode: int | None = None
    stopped: bool = False
    """Ended because the launcher asked for it."""


@dataclass(frozen=True)
class Failure:
    """Why one rank ended, in its own words."""

    attempt: int
    rank: int
    type: str
    message: str
    traceback: str
    host: str = ""
    device: str = ""
    phase: str = ""
    time_s: float | None = None


@dataclass(frozen=True)
class LogTail:
    """The last lines of one log."""

    attempt: int
    title: str
    path: Path
    size: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class RankSign:
    """A rank's last sign of life."""

    rank: int
    phase: str
    epoch: int | None
    step: int | None
    time_s: float | None
    images_per_s: float | None = None
    step_ms: float | None = None


@dataclass(frozen=True)
class Prediction:
    """One row of predictions.csv."""

    file: str
    record: int | None
    label: str
    probability: float
    truth: str


@dataclass(frozen=True)
class Run:
    """Everything that a run directory says of a run."""

    path: Path
    state: State = State.UNKNOWN
    exit_code: int | None = None
    reason: str = ""
    explanation: str = ""
    root_cause_rank: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    events: Sequence[Event] = ()
    lives: Sequence[Life] = ()
    failures: Sequence[Failure] = ()
    logs: Sequence[LogTail] = ()
    signs: Sequence[RankSign] = ()
    predictions: Sequence[Prediction] = ()
    pictures: Sequence[Path] = ()
    bad_numbers: Sequence[tuple[str, str]] = ()
    """Name and text of what the trainer wrote about a loss or a weight that went wrong."""
    missing: Sequence[str] = ()
    read_s: float = 0.0
    """When the directory was read, in seconds of the wall clock."""

    @property
    def name(self) -> str:
        """The last two folders: a recipe and a time, as the launcher names runs by itself."""
        parts = [part for part in self.path.parts[-2:] if part not in ("runs", "/")]
        return "/".join(parts) or str(self.path)

    @property
    def world_size(self) -> int | None:
        plan = self.manifest.get("plan")
        size = plan.get("world_size") if isinstance(plan, dict) else None
        return size if isinstance(size, int) and not isinstance(size, bool) else None

    @property
    def attempts(self) -> int:
        return max((event.attempt for event in self.events), default=-1) + 1
