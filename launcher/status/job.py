"""One job as `launcher status` shows it: a value made of a run directory and of /proc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.report.run import RankSign, Run, State
from launcher.report.times import duration


@dataclass(frozen=True)
class Job:
    """A run and how it stands; times in seconds, ``age_s`` since the last sign of life."""

    run_dir: Path
    state: State
    start_s: float | None
    took_s: float | None
    world_size: int | None
    attempts: int
    exit_code: int | None
    reason: str
    root_cause_rank: int | None
    explanation: str
    images_per_s: float | None
    accuracy: float | None
    pids: Sequence[int]
    ranks: Sequence[RankSign]
    seen_s: float

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest sign of life of any rank."""
        times = [rank.time_s for rank in self.ranks if rank.time_s is not None]
        return max(0.0, self.seen_s - max(times)) if times else None

    @property
    def step(self) -> int | None:
        """The step that all ranks have finished."""
        return min((rank.step for rank in self.ranks if rank.step is not None), default=None)


def job_of(run: Run, pids: Sequence[int] = ()) -> Job:
    """Return how a run stands."""
    train, evals = run.metrics.train, run.metrics.evals
    accuracies = [one.accuracy for one in evals if one.accuracy is not None]
    speeds = [one.images_per_s for one in train if one.images_per_s is not None]
    running = run.state is State.RUNNING
    took_s = run.read_s - run.start_s if running and run.start_s is not None else duration(run)
    return Job(
        run_dir=run.path,
        state=run.state,
        start_s=run.start_s,
        took_s=took_s,
        world_size=run.world_size,
        attempts=run.attempts,
        exit_code=run.exit_code,
        reason=run.reason,
        root_cause_rank=run.root_cause_rank,
        explanation=run.explanation or _cause(run),
        images_per_s=speeds[-1] if speeds else None,
        accuracy=accuracies[-1] if accuracies else None,
        pids=tuple(sorted(pids)),
        ranks=tuple(run.signs),
        seen_s=run.read_s,
    )


def to_json(job: Job) -> dict[str, Any]:
    """Return a job as one JSON object; what is not known is null."""
    return {
        "run_dir": str(job.run_dir),
        "state": job.state.name.lower(),
        "start": job.start_s,
        "duration_s": job.took_s,
        "world_size": job.world_size,
        "attempts": job.attempts,
        "exit_code": job.exit_code,
        "reason": job.reason or None,
        "root_cause_rank": job.root_cause_rank,
        "explanation": job.explanation or None,
        "step": job.step,
        "images_per_s": job.images_per_s,
        "accuracy": job.accuracy,
        "age_s": job.age_s,
        "pids": list(job.pids),
        "ranks": [_rank_json(rank, job.seen_s) for rank in job.ranks],
    }


def _rank_json(rank: RankSign, seen_s: float) -> dict[str, Any]:
    return {
        "rank": rank.rank,
        "phase": rank.phase or None,
        "epoch": rank.epoch,
        "step": rank.step,
        "age_s": None if rank.time_s is None else max(0.0, seen_s - rank.time_s),
        "images_per_s": rank.images_per_s,
        "step_ms": rank.step_ms,
    }


def _cause(run: Run) -> str:
    """Return the first line of what the blamed rank itself has recorded."""
    said = [one for one in run.failures if one.rank == run.root_cause_rank]
    if not said:
        return ""
    last = max(said, key=lambda one: one.attempt)
    first = last.message.strip().splitlines()[:1]
    return ": ".join([last.type, *first])
