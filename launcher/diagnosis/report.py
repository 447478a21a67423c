"""What the user reads at the end of a run: the root cause first, then what helps to act on it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from launcher.contract import FailureRecord, RunPaths
from launcher.diagnosis.hints import find_hint
from launcher.diagnosis.verdict import Verdict, is_chatter, own_code
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.plan import Plan
from launcher.ranges import format_ranges
from launcher.run_directory import shown

_LOG_LINES = 20
_TABLE_ROWS = 16


def report(plan: Plan, outcome: AttemptOutcome, verdict: Verdict, *, ended_s: float) -> str:
    """Return the report on the last attempt: whole lines, the first one is the headline.

    Args:
        ended_s: when the attempt ended, in seconds of the wall clock.
    """
    if outcome.reason is Reason.SUCCESS:
        return _success(plan, outcome)
    paths = RunPaths(plan.run_dir)
    cause = verdict.cause
    lines = [_headline(plan, outcome, verdict)]
    if outcome.reason is Reason.STOPPED:
        lines += _where_stopped(outcome)
    if cause is not None:
        lines += _facts(plan, outcome, cause)
    if verdict.explanation:
        lines.append(f"  {verdict.explanation}")
    if outcome.reason in (Reason.HANG, Reason.EXIT_SKEW):
        lines += _ranks_table(outcome, cause, ended_s)
        stacks = paths.stacks(outcome.attempt, 0).parent
        if stacks.is_dir():
            lines.append(f"  stacks: {shown(stacks)}")
    elif cause is not None:
        lines += _traceback(cause.failure) + _log(cause)
    if cause is not None:
        lines.append(f"  log: {shown(_log_path(paths, outcome, cause))}")
        hint = _hint(cause) if outcome.reason is Reason.FAILURE else ""
        lines += [f"  hint: {hint}"] if hint else []
    if outcome.reason not in (Reason.HANG, Reason.EXIT_SKEW):
        lines += [f"  note: {note}" for note in outcome.notes]
    lines += _others(verdict, outcome) + _restart(outcome)
    if outcome.no_restart is not None:
        lines.append(f"  no restart: {outcome.no_restart.why}")
    lines.append(f"  run directory: {shown(plan.run_dir)}")
    lines.append(f"  exit code: {verdict.exit_code}")
    return "\n".join(lines)


def how_it_ended(rank: RankOutcome) -> str:
    """Return ``exit code 3`` or ``SIGSEGV (signal 11)``."""
    code = own_code(rank)
    if code is None:
        return "could not be ended"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"{signal.Signals(-code).name} (signal {-code})"
    except ValueError:
        return f"signal {-code}"


def _success(plan: Plan, outcome: AttemptOutcome) -> str:
    ranks = f"all {plan.world_size} ranks" if plan.world_size > 1 else "the rank"
    seconds = (outcome.ended_ns - outcome.started_ns) / 1e9
    restarts = f" (attempt {outcome.attempt})" if outcome.attempt else ""
    lines = [f"{ranks} ended well after {seconds:.1f} s{restarts}; {shown(plan.run_dir)}"]
    lines += _restart(outcome) + [f"  note: {note}" for note in outcome.notes]
    return "\n".join(lines + _left_over(outcome))


def _restart(outcome: AttemptOutcome) -> list[str]:
    if outcome.restart_s is None:
        return []
    return [f"  after the restart it was training again in {outcome.restart_s:.1f} s"]


def _where_stopped(outcome: AttemptOutcome) -> list[str]:
    """Return how far the ranks had come, as their last heartbeats say."""
    groups: dict[tuple[int, str], list[int]] = {}
    for rank in outcome.ranks:
        if rank.progress is not None:
            groups.setdefault((rank.progress.step, rank.progress.phase), []).append(rank.rank)
    if len(groups) > _TABLE_ROWS:
        steps = [step for step, _ in groups]
        return [f"  last heartbeats: steps {min(steps)} to {max(steps)}"]
    return [
        f"  last heartbeat of {_ranks(ranks)}: step {step}, phase {phase}"
        for (step, phase), ranks in sorted(groups.items())
    ]


def _headline(plan: Plan, outcome: AttemptOutcome, verdict: Verdict) -> str:
    if outcome.reason is Reason.STOPPED:
        return f"stopped by {signal.Signals(outcome.signal or signal.SIGTERM).name}"
    cause = verdict.cause
    if outcome.reason in (Reason.HANG, Reason.EXIT_SKEW):
        return f"hang: {outcome.detail or outcome.reason.value}"
    if cause is None:
        return outcome.detail or "the run failed"
    return f"{_who(plan, cause)} failed: {_what(cause)}"


def _who(plan: Plan, rank: RankOutcome) -> str:
    return "the scheduler" if rank.rank < 0 else f"rank {rank.rank} of {plan.world_size}"


def _what(rank: RankOutcome) -> str:
    failure = rank.failure
    if failure is None:
        return how_it_ended(rank)
    if failure.type == "SystemExit":
        return failure.message
    first = failure.message.strip().splitlines()
    message = f"{failure.type}: {first[0]}" if first else failure.type
    return message + (" ..." if len(first) > 1 else "")


def _facts(plan: Plan, outcome: AttemptOutcome, cause: RankOutcome) -> list[str]:
    failure, progress = cause.failure, cause.progress
    facts = [
        f"host {(failure.host if failure else '') or plan.host}",
        "" if cause.rank < 0 else _device(plan, cause.rank),
        f"pid {cause.pid}",
        how_it_ended(cause) if outcome.reason is Reason.FAILURE else "",
        f"attempt {outcome.attempt}" if outcome.attempt else "",
    ]
    phase = (failure.phase if failure else "") or (progress.phase if progress else "")
    facts.append(f"phase {phase}" if phase else "")
    if progress is not None:
        facts.append(f"epoch {progress.epoch}, step {progress.step}")
    return ["  " + ", ".join(fact for fact in facts if fact)]


def _device(plan: Plan, rank: int) -> str:
    device_id = next((one.device_id for one in plan.workers if one.rank == rank), None)
    return f"device {plan.device_target}" + ("" if device_id is None else f" {device_id}")


def _traceback(failure: FailureRecord | None) -> list[str]:
    if failure is None or not failure.traceback.strip():
        return []
    where = [] if failure.fatal else ["  in a thread that ended before:"]
    return where + _indented(failure.traceback.rstrip().splitlines())


def _log(cause: RankOutcome) -> list[str]:
    """Return the end of the log, without what the traceback has already shown.

    Where there is a traceback, MindSpore's warnings are not what the reader looks for.
    """
    known = set(cause.failure.traceback.splitlines()) if cause.failure else set()
    tail = [line for line in cause.log_tail if line not in known]
    tail = [line for line in tail if not (known and is_chatter(line))][-_LOG_LINES:]
    while tail and not tail[-1].strip():
        tail.pop()
    return ["  last lines of its log:", *_indented(tail)] if tail else []


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}".rstrip() for line in lines]


def _log_path(paths: RunPaths, outcome: AttemptOutcome, cause: RankOutcome) -> Path:
    if cause.rank < 0:
        return paths.scheduler_log(outcome.attempt)
    return paths.log(outcome.attempt, cause.rank)


def _hint(cause: RankOutcome) -> str:
    texts = []
    if cause.failure is not None:
        texts = [f"{cause.failure.type}: {cause.failure.message}", cause.failure.traceback]
    log = [line for line in reversed(cause.log_tail) if not is_chatter(line)]
    return find_hint([*texts, "\n".join(log)], own_code(cause))


def _ranks_table(outcome: AttemptOutcome, cause: RankOutcome | None, ended_s: float) -> list[str]:
    """Return one row per rank, the odd one out marked; of many ranks the first ones only."""
    seen = dict(note.split(": ", 1) for note in outcome.notes if ": " in note)
    rows = []
    for rank in outcome.ranks:
        mark = "->" if cause is not None and rank.rank == cause.rank else "  "
        name = f"rank {rank.rank}"
        rows.append(f"  {mark} {name}: {seen.get(name) or _last_sign(rank, ended_s)}")
    if len(rows) <= _TABLE_ROWS:
        return rows
    marked = [row for row in rows if row.startswith("  ->")]
    return [*marked, *rows[:_TABLE_ROWS], f"     ... {len(rows) - _TABLE_ROWS} more ranks"]


def _last_sign(rank: RankOutcome, ended_s: float) -> str:
    if rank.returncode == 0 and rank.signalled_ns is None:
        return "ended well"
    if rank.progress is None:
        return "gave no sign of progress"
    where = f"{rank.progress.phase}, epoch {rank.progress.epoch}, step {rank.progress.step}"
    age_s = max(0.0, ended_s - rank.progress.time)
    return f"{where}, {age_s:.0f} s before the end" if rank.progress.time else where


def _others(verdict: Verdict, outcome: AttemptOutcome) -> list[str]:
    lines = []
    if verdict.secondary:
        names = _ranks(verdict.secondary)
        lines.append(f"  {names} failed as a consequence (see their logs)")
    if verdict.stopped and outcome.reason is not Reason.STOPPED:
        plural = "were" if len(verdict.stopped) > 1 else "was"
        lines.append(f"  {_ranks(verdict.stopped)} {plural} stopped by the launcher")
    return lines + _left_over(outcome)


def _left_over(outcome: AttemptOutcome) -> list[str]:
    if not outcome.left_over:
        return []
    pids = ", ".join(map(str, outcome.left_over))
    return [f"  these processes of the job could not be ended: pid {pids}"]


def _ranks(ranks: Sequence[int]) -> str:
    return ("ranks " if len(ranks) > 1 else "rank ") + format_ranges(ranks)
