"""Looks for ranks that make no progress, are slow, or go on when others have ended well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from launcher.contract import RunPaths
from launcher.outcome import Reason
from launcher.plan import SCHEDULER, Policy
from launcher.supervision import watch
from launcher.supervision.ladder import Stop
from launcher.supervision.process import Child
from launcher.supervision.samples import Sampler
from launcher.words import ranks_in_words

if TYPE_CHECKING:
    from launcher.supervision.stragglers import Stragglers

SKEW_WARNING_S = 10.0


class Lookout:
    """Watches the running ranks of one attempt; ``tell`` writes an event, ``say`` a message."""

    def __init__(
        self,
        policy: Policy,
        *,
        paths: RunPaths,
        attempt: int,
        tell: Callable[..., None],
        say: Callable[[str], None],
    ) -> None:
        self._policy = policy
        self._paths = paths
        self._attempt = attempt
        self._tell = tell
        self._say = say
        self._sampler = Sampler(paths, attempt, policy)
        self._stragglers: Stragglers | None = None
        self._pace_due_s: float | None = None
        self._last_good_end_s: float | None = None
        self._warned = False
        self.first_step: int | None = None

    def note_good_end(self, rank: int) -> None:
        """Remember that a rank has ended with 0: the others should follow."""
        if rank != SCHEDULER:
            self._last_good_end_s = time.monotonic()

    def due_s(self) -> float | None:
        """Return when to look next, on the monotonic clock; None: there is nothing to wait for."""
        due = [self._sampler.due_s(time.monotonic()), self._pace_due_s]
        if self._last_good_end_s is not None:
            waits = [self._policy.exit_skew_s] if self._policy.exit_skew_s > 0 else []
            waits += [] if self._warned else [SKEW_WARNING_S]
            due += [self._last_good_end_s + wait_s for wait_s in waits]
        return min((one for one in due if one is not None), default=None)

    def look(self, running: Mapping[int, Child]) -> Stop | None:
        """Look if it is time to; before a stop the stacks of all running ranks are taken."""
        now_s = time.monotonic()
        due_s = self._sampler.due_s(now_s)
        if running and due_s is not None and now_s >= due_s:
            pids = _pids(running)
            hung = self._sampler.check(now_s, pids)
            self._note_first_step()
            if hung:
                return self._hang(hung, pids)
        if len(running) > 1 and self._policy.straggler_factor:
            self._look_for_stragglers(running, now_s)
        else:
            self._pace_due_s = None
        return self._skew(running, now_s) if running else None

    def _look_for_stragglers(self, running: Mapping[int, Child], now_s: float) -> None:
        """Look if it is time to; what this needs is loaded once the first workers run."""
        if self._pace_due_s is not None and now_s < self._pace_due_s:
            return
        from launcher.supervision import stragglers

        if self._stragglers is None:
            self._stragglers = stragglers.Stragglers(
                self._policy, paths=self._paths, tell=self._tell, say=self._say
            )
        self._pace_due_s = now_s + self._stragglers.look(now_s, _pids(running))

    def _note_first_step(self) -> None:
        if self.first_step is None:
            known = [one.first.step for one in self._sampler.vitals.values() if one.first]
            self.first_step = min(known, default=None)

    def _hang(self, hung: tuple[int, ...], pids: Mapping[int, int]) -> Stop:
        worst = max(hung, key=lambda rank: self._sampler.vitals[rank].idle_s)
        vitals = self._sampler.vitals[worst]
        limit_s = watch.limit_s(vitals, self._policy)
        self._tell("hang", ranks=list(hung), limit_s=limit_s)
        self._say(
            f"hang: {ranks_in_words(hung)} made no progress for {limit_s:g} s; "
            f"taking the stacks of {len(pids)} ranks"
        )
        suspects, notes = self._take_stacks(pids)
        first = suspects[0] if suspects else worst
        detail = f"rank {first} hangs ({watch.describe(self._sampler.vitals[first])})"
        return Stop(Reason.HANG, detail, suspects=suspects, notes=notes)

    def _skew(self, running: Mapping[int, Child], now_s: float) -> Stop | None:
        if self._last_good_end_s is None:
            return None
        over_s = now_s - self._last_good_end_s
        limit_s = self._policy.exit_skew_s
        who = ranks_in_words(running)
        if 0 < limit_s <= over_s:
            self._tell("hang", ranks=list(running), limit_s=limit_s, why="exit skew")
            pids = _pids(running)
            self._sampler.check(now_s, pids)
            suspects, notes = self._take_stacks(pids)
            suspects = suspects or tuple(sorted(running))
            detail = f"{who} still ran {limit_s:g} s after others had ended well"
            return Stop(Reason.EXIT_SKEW, detail, suspects=suspects, notes=notes)
        if not self._warned and over_s >= SKEW_WARNING_S:
            self._warned = True
            then = f"; they are ended after {limit_s:g} s" if limit_s > 0 else ""
            self._say(f"{who} still running {over_s:.0f} s after others ended well{then}")
        return None

    def _take_stacks(self, pids: Mapping[int, int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
        from launcher.supervision import stacks

        taken = stacks.take(pids, lambda rank: self._paths.stacks(self._attempt, rank))
        places = {rank: stack.place for rank, stack in taken.items()}
        vitals = self._sampler.vitals
        suspects = watch.suspects(vitals, self._policy, places)
        notes = tuple(
            f"rank {rank}: {watch.describe(vitals[rank])}; in {places[rank]}"
            for rank in sorted(pids)
        )
        answered = [rank for rank, stack in taken.items() if stack.answered]
        self._tell("stacks", ranks=sorted(taken), python=sorted(answered), suspects=suspects)
        return suspects, notes


def _pids(running: Mapping[int, Child]) -> dict[int, int]:
    return {rank: child.pid for rank, child in running.items()}
