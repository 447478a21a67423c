"""Names the rank that holds up the others, and what its host is doing."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from launcher.contract import Progress, RunPaths
from launcher.heartbeats import Heartbeats
from launcher.host.busyness import Busyness, Counters
from launcher.plan import Policy
from launcher.supervision.pace import Slow, Span, Track, is_training, slow_ranks
from launcher.supervision.samples import Stat, read_stat

INTERVAL_S = 0.5
"""Between two looks while ranks train."""
IDLE_INTERVAL_S = 3.0
"""Between two looks while none does: the launcher of sleeping workers should sleep, too."""
SAID_EVERY_S = 60.0
"""A rank is named on the console at most so often; events are written each time."""

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a disk",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": "ended",
    "X": "gone",
}
_LEAST_SHARE = 0.1
_LEAST_PAST_S = 2.5


class _Seen(NamedTuple):
    """What was seen of a process since a time: its states, one a look, and its CPU time then."""

    since_s: float
    states: Counter[str]
    first: Stat | None


class Stragglers:
    """Watches the running ranks of one attempt; ``tell`` writes an event, ``say`` a message."""

    def __init__(
        self,
        policy: Policy,
        *,
        paths: RunPaths,
        tell: Callable[..., None],
        say: Callable[[str], None],
    ) -> None:
        self._factor = policy.straggler_factor
        self._window_s = policy.straggler_time_s
        self._heartbeats = Heartbeats(paths)
        self._tell = tell
        self._say = say
        self._tracks: dict[int, Track] = {}
        self._training: frozenset[int] = frozenset()
        self._past_s = max(self._window_s, _LEAST_PAST_S)
        self._counted: deque[tuple[float, Counters]] = deque(maxlen=2)
        self._seen: dict[int, deque[_Seen]] = {}
        self._named: set[int] = set()
        self._said_s: dict[int, float] = {}

    def look(self, now_s: float, pids: Mapping[int, int]) -> float:
        """Take what the running ranks (``{rank: pid}``) tell, and name those that are slow.

        Returns:
            Seconds until the next look.
        """
        told = {rank: self._heartbeats.of(rank) for rank in pids}
        self._follow(told)
        if not any(is_training(progress) for progress in told.values()):
            return IDLE_INTERVAL_S
        self._judge(now_s, pids)
        return INTERVAL_S

    def _follow(self, told: Mapping[int, Progress | None]) -> None:
        """Take the steps of ranks while the same ones train, and no rank does anything else.

        While one saves a checkpoint the others wait for it in their next step: a time that is no
        step's for one is none's, so that all begin anew.
        """
        training = frozenset(rank for rank, progress in told.items() if is_training(progress))
        if any(progress is not None and rank not in training for rank, progress in told.items()):
            training = frozenset()
        for rank, progress in told.items():
            track = self._tracks.setdefault(rank, Track(self._window_s))
            if training and training == self._training:
                track.add(progress)
            else:
                track.begin_anew(progress)
        self._training = training

    def _judge(self, now_s: float, pids: Mapping[int, int]) -> None:
        self._count(now_s)
        for rank, pid in pids.items():
            self._see(rank, pid, now_s)
        known = {rank: self._tracks[rank].span() for rank in pids}
        spans = {rank: span for rank, span in known.items() if span is not None}
        slow = slow_ranks(spans, self._factor)
        for rank, found in slow.items():
            if rank not in self._named:
                self._name(rank, found, pids[rank], now_s)
        calm = set(spans) - set(slow_ranks(spans, (1 + self._factor) / 2))
        for rank in sorted(self._named & calm):
            self._named.remove(rank)
            self._tell("straggler_end", rank=rank, step=self._step(rank))

    def _count(self, now_s: float) -> None:
        """Read the host's counters now and then: the older of two tell of one to two windows."""
        if not self._counted or now_s - self._counted[-1][0] >= self._past_s:
            self._counted.append((now_s, Counters.read()))

    def _see(self, rank: int, pid: int, now_s: float) -> None:
        stat = read_stat(pid)
        seen = self._seen.setdefault(rank, deque(maxlen=2))
        if not seen or now_s - seen[-1].since_s >= self._past_s:
            seen.append(_Seen(now_s, Counter(), stat))
        for one in seen:
            one.states[stat.state if stat else "X"] += 1

    def _step(self, rank: int) -> int:
        progress = self._heartbeats.of(rank)
        return progress.step if progress else 0

    def _name(self, rank: int, slow: Slow, pid: int, now_s: float) -> None:
        self._named.add(rank)
        host = Busyness.since(self._counted[0][1])
        process = self._process(rank, pid, now_s)
        step = self._step(rank)
        text = (
            f"straggler: rank {rank} at step {step} takes {1000 * slow.step_s:,.0f} ms for a "
            f"step, {slow.factor:.1f} times what the others take, over {slow.span.steps} steps "
            f"and {slow.span.elapsed_s:.1f} s\n"
            f"  its process: {_in_words(slow.span, process)}\n"
            f"  its host: {host.in_words()}"
        )
        self._tell(
            "straggler",
            rank=rank,
            step=step,
            text=text,
            factor=round(slow.factor, 3),
            step_ms=round(1000 * slow.step_s, 3),
            others_step_ms=round(1000 * slow.others_step_s, 3),
            steps=slow.span.steps,
            over_s=round(slow.span.elapsed_s, 3),
            data_wait_share=_share(slow.span.data_wait_s, slow.span),
            stalled_share=_share(slow.span.stalled_s, slow.span),
            process=process,
            host=host.to_json(),
        )
        if now_s - self._said_s.get(rank, -math.inf) >= SAID_EVERY_S:
            self._said_s[rank] = now_s
            self._say(text)

    def _process(self, rank: int, pid: int, now_s: float) -> dict[str, Any]:
        """Return the states of the process by their share of the looks, and the cores it used."""
        seen, stat = self._seen[rank][0], read_stat(pid)
        looks = sum(seen.states.values())
        cores = None
        if stat is not None and seen.first is not None and now_s > seen.since_s:
            cores = round((stat.cpu_s - seen.first.cpu_s) / (now_s - seen.since_s), 2)
        states = {state: round(count / looks, 2) for state, count in seen.states.most_common()}
        return {"pid": pid, "states": states, "cores_used": cores}


def _share(time_s: float, span: Span) -> float:
    return round(min(1.0, time_s / span.elapsed_s), 3)


def _in_words(span: Span, process: Mapping[str, Any]) -> str:
    said = []
    if (stalled := _share(span.stalled_s, span)) >= _LEAST_SHARE:
        said.append(f"stood still {stalled:.0%} of the time")
    if (waited := _share(span.data_wait_s, span)) >= _LEAST_SHARE:
        said.append(f"waited for its data {waited:.0%}")
    states = process["states"].items()
    said.append(", ".join(f"{_STATES.get(state, state)} {share:.0%}" for state, share in states))
    if process["cores_used"] is not None:
        said.append(f"used {process['cores_used']:.2f} cores")
    return "; ".join(said)
