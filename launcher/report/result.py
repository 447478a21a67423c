"""The first sections: how a run stands, why it failed, what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.report.files import number, text
from launcher.report.markup import block, escape, folded, note
from launcher.report.numbers import clock, count, percent, seconds
from launcher.report.run import Failure, LogTail, Run, State
from launcher.report.times import duration, median_speed
from launcher.words import status_in_words

STYLES = {
    State.ENDED_WELL: "ok",
    State.FAILED: "bad",
    State.RUNNING: "run",
    State.LOST: "bad",
    State.UNKNOWN: "off",
}
_REASONS = {
    "hang": "a rank made no progress",
    "exit_skew": "some ranks ended well, others went on",
    "stopped": "the launcher was stopped by a signal",
    "start": "a process could not be started",
    "failure": "a rank failed",
}
MOST_FAILURES = 16


def state_badge(run: Run) -> str:
    return f'<span class="state {STYLES[run.state]}">{escape(run.state.value)}</span>'


def head(run: Run) -> str:
    """Return the title of the page."""
    started = f"started {clock(run.start_s)}" if run.start_s is not None else "start not known"
    took = duration(run)
    took_words = f", {seconds(took)}" if took is not None else ""
    return (
        f"<h1>{escape(run.name)} {state_badge(run)}</h1>"
        f'<p class="sub">{escape(started + took_words)} &middot; {escape(run.path)}</p>'
    )


def result(run: Run) -> str:
    """Return the numbers that matter most, and the root cause of a failure."""
    tiles = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>"
        for name, value in _tiles(run)
    )
    return f'<div class="tiles">{tiles}</div>{_cause(run)}{_stale(run)}'


def _tiles(run: Run) -> Iterator[tuple[str, str]]:
    metrics, end = run.metrics, run.metrics.end
    tests = [one for one in metrics.evals if one.accuracy is not None and one.weights == "last"]
    if tests:
        last = number(end.get("accuracy"))
        last = tests[-1].accuracy if last is None else last
        best = max(tests, key=lambda one: one.accuracy or 0)
        yield f"accuracy ({tests[-1].split})", percent(last)
        yield f"best accuracy, at step {count(best.step)}", percent(best.accuracy)
    steps = [*(p.step for p in metrics.train), *(s.step or 0 for s in run.signs)]
    if any(steps):
        yield "steps", count(max(steps))
    speed = median_speed(run)
    if speed is not None:
        yield "images/s (median)", count(speed)
    if (train_s := number(end.get("train_s"))) is not None:
        yield "training, without compilation", seconds(train_s)
    took = duration(run)
    if took is not None:
        yield "so far" if run.state is State.RUNNING else "from start to end", seconds(took)
    if run.world_size is not None:
        yield "ranks" if run.world_size != 1 else "rank", count(run.world_size)
    if run.attempts > 1:
        yield "attempts", count(run.attempts)
    yield "exit code", "-" if run.exit_code is None else str(run.exit_code)


def _cause(run: Run) -> str:
    if run.state is State.LOST:
        return _lost(run)
    if run.state is not State.FAILED:
        return ""
    failure = root_cause(run)
    who = "" if run.root_cause_rank is None else f"rank {run.root_cause_rank}"
    if run.root_cause_rank is not None and run.root_cause_rank < 0:
        who = "the scheduler"
    what = _REASONS.get(run.reason, run.reason or "the reason is not recorded")
    if failure is not None:
        what = f"{failure.type}: {failure.message}" if failure.message else failure.type
    elif run.reason == "failure" and (ended := _how_ended(run)):
        what = ended
    words = f"{who}: {what}" if who else what
    more = f"<p>{escape(run.explanation)}</p>" if run.explanation else ""
    more += _facts(failure) if failure is not None else ""
    return (
        f'<div class="cause"><p><b>{escape(words)}</b></p>{more}</div>'
        f'<p class="note">More: {_links(run)}.</p>'
    )


def _links(run: Run) -> str:
    traceback = '<a href="#failures">traceback</a>, ' if run.failures else ""
    return f'{traceback}<a href="#logs">last lines of the log</a>, <a href="#story">time line</a>'


def _lost(run: Run) -> str:
    return (
        '<div class="cause"><p><b>No end is recorded, and no process of this run is found on this '
        "host.</b></p><p>The launcher was killed, or the machine went down; or the run goes on "
        f"elsewhere. Last sign of life: {escape(_last_sign(run))}.</p></div>"
    )


def _last_sign(run: Run) -> str:
    times = [s.time_s for s in run.signs if s.time_s is not None] + [e.time_s for e in run.events]
    return clock(max(times)) if times else "none"


def _how_ended(run: Run) -> str:
    title = "scheduler" if (run.root_cause_rank or 0) < 0 else f"rank {run.root_cause_rank}"
    ends = [one for one in run.lives if one.title == title and one.returncode is not None]
    if not ends:
        return ""
    code = ends[-1].returncode or 0
    return status_in_words(code)


def _facts(failure: Failure) -> str:
    facts = [
        f"host {failure.host}" if failure.host else "",
        f"device {failure.device}" if failure.device else "",
        f"phase {failure.phase}" if failure.phase else "",
        f"attempt {failure.attempt}" if failure.attempt else "",
        clock(failure.time_s) if failure.time_s is not None else "",
    ]
    return note(", ".join(fact for fact in facts if fact))


def _stale(run: Run) -> str:
    if run.state is not State.RUNNING:
        return ""
    return note(f"The run goes on; this page shows it as of {clock(run.read_s)}.")


def missing(run: Run) -> str:
    """Return what the directory does not say; "" where it says everything."""
    words = list(run.missing)
    if run.metrics.repeated:
        words.append(
            f"{run.metrics.repeated:,} records of steps that were done again later are left out"
        )
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in words)}</ul>" if words else ""


def root_cause(run: Run) -> Failure | None:
    """Return the record of the rank that is blamed, of its newest attempt."""
    of_rank = [one for one in run.failures if one.rank == run.root_cause_rank]
    return max(of_rank, key=lambda one: one.attempt, default=None)


def failures(run: Run) -> str:
    """Return what the ranks themselves recorded, the root cause first and open."""
    cause = root_cause(run)
    records = sorted(run.failures, key=lambda one: (one is not cause, -one.attempt, one.rank))
    parts = [_record(one, is_open=one is cause) for one in records[:MOST_FAILURES]]
    if len(records) > MOST_FAILURES:
        parts.append(note(f"and {len(records) - MOST_FAILURES} more in failures/"))
    parts += [folded(f"Numbers that went wrong: {n}", block(said)) for n, said in run.bad_numbers]
    return "".join(parts)


def _record(failure: Failure, *, is_open: bool) -> str:
    first = failure.message.strip().splitlines()[:1]
    words = f"rank {failure.rank}, attempt {failure.attempt}: {failure.type}"
    words += f": {first[0][:160]}" if first else ""
    inner = _facts(failure) + block(failure.traceback.rstrip() or failure.message)
    return folded(words, inner, is_open=is_open)


def logs(run: Run) -> str:
    """Return the last lines of the logs of the newest attempt, the root cause's open."""
    if not run.logs:
        return note("logs/ holds no log: nothing that the ranks printed can be shown.")
    newest = max(one.attempt for one in run.logs)
    wanted = f"rank {run.root_cause_rank if (run.root_cause_rank or 0) >= 0 else 0}"
    if run.root_cause_rank is not None and run.root_cause_rank < 0:
        wanted = "scheduler"
    last = [one for one in run.logs if one.attempt == newest]
    last.sort(key=lambda one: one.title != wanted)
    earlier = [one for one in run.logs if one.attempt != newest and one.title == wanted]
    made = [_log(one, is_open=one.title == wanted) for one in last[:MOST_FAILURES]]
    return "".join([*made, *(_log(one, is_open=False) for one in earlier[:MOST_FAILURES])])


def _log(log: LogTail, *, is_open: bool) -> str:
    from launcher.report.numbers import size

    words = f"{log.title}, attempt {log.attempt}: {size(log.size)}"
    lines = [text(line, 2000) for line in log.lines]
    body = block("\n".join(lines)) if lines else note("It is empty.")
    return folded(words, body + note(str(log.path)), is_open=is_open)
