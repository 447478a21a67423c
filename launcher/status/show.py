"""Jobs as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from launcher.report.numbers import clock, count, seconds
from launcher.report.run import State
from launcher.run_directory import shown
from launcher.status.job import Job

MOST_RANKS = 64


def jobs_table(jobs: Sequence[Job]) -> str:
    """Return one line per job: running ones first, as they come."""
    rows = [("state", "run directory", "ranks", "step", "images/s", "took", "last sign", "result")]
    rows += [
        (
            job.state.value,
            shown(job.run_dir),
            count(job.world_size),
            count(job.step),
            count(job.images_per_s) if job.state is State.RUNNING else "-",
            seconds(job.took_s),
            _age(job.age_s) if job.state is State.RUNNING else "-",
            _result(job),
        )
        for job in jobs
    ]
    return _columns(rows, right=(2, 3, 4, 5, 6))


def job_text(job: Job) -> str:
    """Return all of one job: how it stands, and a line per rank."""
    return "\n".join([*_facts(job), "", _ranks(job)]).rstrip() + "\n"


def _facts(job: Job) -> Iterator[str]:
    yield f"{shown(job.run_dir)}: {job.state.value}"
    yield f"  started {clock(job.start_s)}, {seconds(job.took_s)}"
    if job.attempts > 1:
        yield f"  attempt {job.attempts - 1} ({job.attempts - 1} restarts)"
    if job.exit_code is not None:
        yield f"  exit code {job.exit_code}"
    if job.exit_code:
        yield f"  root cause: {_root_cause(job)}"
    if job.accuracy is not None:
        yield f"  accuracy {job.accuracy:.4f}"
    if job.images_per_s is not None:
        yield f"  images/s {count(job.images_per_s)}, all ranks"
    if job.pids:
        yield f"  processes {', '.join(map(str, job.pids[:MOST_RANKS]))}"


def _ranks(job: Job) -> str:
    if not job.ranks:
        return "  no rank has written a sign of life (progress/)\n"
    rows = [("rank", "phase", "epoch", "step", "images/s", "last sign of life")]
    rows += [
        (
            str(rank.rank),
            rank.phase or "-",
            count(rank.epoch),
            count(rank.step),
            count(rank.images_per_s),
            _age(None if rank.time_s is None else max(0.0, job.seen_s - rank.time_s)),
        )
        for rank in job.ranks[:MOST_RANKS]
    ]
    more = len(job.ranks) - MOST_RANKS
    text = _columns(rows, right=(0, 2, 3, 4, 5), indent="  ")
    return text + (f"  and {more} more ranks\n" if more > 0 else "")


def _result(job: Job) -> str:
    if job.exit_code is None:
        return "-"
    words = f"exit code {job.exit_code}"
    if job.exit_code == 0:
        return words if job.accuracy is None else f"accuracy {job.accuracy:.4f}"
    return f"{words}: {_root_cause(job)}"[:80]


def _root_cause(job: Job) -> str:
    who = "" if job.root_cause_rank is None else f"rank {job.root_cause_rank}"
    what = job.explanation or job.reason or "not recorded"
    first = what.strip().splitlines()[0]
    return f"{who}: {_printable(first)}" if who else _printable(first)


def _age(age_s: float | None) -> str:
    return "-" if age_s is None else f"{seconds(age_s)} ago"


def _printable(text: str) -> str:
    """Return a text without what a terminal would act on."""
    return "".join(char if char.isprintable() else " " for char in text)


def _columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "") -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = (
            f"{cell:>{width}}" if index in right else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(map(_printable, row), widths, strict=True))
        )
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines) + "\n"
