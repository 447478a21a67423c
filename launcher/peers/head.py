"""Node 0's side of the meeting: it takes the others in, starts all together and judges the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

from launcher.environments.place import Place
from launcher.errors import NotReadyError
from launcher.outcome import Halt, Reason
from launcher.peers.ends import Bounds, End, JobEnd, judge, skewed, stopped
from launcher.peers.errors import PeerEndedError, StoppedError
from launcher.peers.hello import Hello
from launcher.peers.lines import Lines
from launcher.peers.signalled import Wait
from launcher.peers.wire import Message, Traffic

_GOODBYE_S = 2.0
_SPEAK_UP_S = 5.0


class Head:
    """The launchers of all other nodes, as node 0 sees them.

    Raises:
        UsageError: the master address is none of this host.
        NotReadyError: the port is taken.
    """

    def __init__(self, place: Place, own: Hello, *, token: str, say: Callable[[str], None]) -> None:
        self._place, self._own, self._say = place, own, say
        self._lines = Lines(place, own, token=token, say=say)

    def fileno(self) -> int:
        """Return what is readable when there is something to :meth:`read` (an epoll of its own)."""
        return self._lines.fileno()

    def title(self, node_rank: int) -> str:
        """Return ``node 1 (its host)``."""
        return self._lines.title(node_rank)

    def gather(self, limit_s: float) -> dict[int, Hello]:
        """Wait until every node is there; return what each says of itself, node 0 too.

        Raises:
            NotReadyError: some did not come in time; the message names them.
        """
        deadline_s = time.monotonic() + limit_s
        speak_up_s = time.monotonic() + _SPEAK_UP_S
        while missing := self._lines.missing():
            now_s = time.monotonic()
            if now_s >= deadline_s:
                raise NotReadyError(
                    f"{self._lines.names(missing)} did not come to {self._place.master_addr}:"
                    f"{self._place.master_port} within {limit_s:g} s (--join-timeout), so that "
                    "nothing was started; start the launcher there, and look at what it says"
                )
            if now_s >= speak_up_s:
                speak_up_s = deadline_s
                self._say(f"waiting for {self._lines.names(missing)}")
            self._lines.pump(min(deadline_s, speak_up_s) - now_s)
        return {0: self._own, **{rank: one.hello for rank, one in self._lines.nodes.items()}}

    def own_address(self) -> str:
        """Return the address of this host by which the others came."""
        return str(min(self._lines.nodes.items())[1].line.socket.getsockname()[0])

    def start(self, message: Message) -> None:
        """Tell all nodes what is started; who is lost from now on is missed."""
        self._lines.has_started = True
        self._lines.broadcast({"type": "start", **message})

    def barrier(self, attempt: int, message: Message, *, limit_s: float, wait: Wait) -> Message:
        """Wait until every node is ready for an attempt, and let all go; return what they hear.

        Raises:
            NotReadyError: one is lost, or was not ready in time.
            PeerEndedError: one has ended before the start.
            StoppedError: a signal to us came first.
        """
        deadline_s = time.monotonic() + limit_s
        while True:
            self._refuse_to_start_without_one()
            waiting = self._lines.unready(attempt)
            if not waiting:
                break
            if time.monotonic() >= deadline_s:
                raise NotReadyError(f"{self._lines.names(waiting)} not ready within {limit_s:g} s")
            if (number := wait(deadline_s - time.monotonic())) is not None:
                raise StoppedError(number)
            self._lines.pump(0.0)
        self._lines.begin_attempt()
        self._lines.broadcast({"type": "go", "attempt": attempt, **message})
        return message

    def read(self) -> list[Halt]:
        """Return why this node has to end its workers, if it has to; never waits."""
        self._lines.pump(0.0)
        return self._lines.take_stops()

    def tell_stop(self, halt: Halt) -> None:
        """Let every node end its workers."""
        self._lines.stop(halt.said_by(self.title(0)))

    def agree(self, own: End, bounds: Bounds, *, wait: Wait, may_restart: bool) -> JobEnd:
        """Wait until every node has ended its attempt; judge, and tell all.

        Args:
            own: how it ended here.
            wait: see :data:`launcher.peers.signalled.Wait`.
            may_restart: whether the policy allows another attempt.
        """
        if own.reason != Reason.SUCCESS.name:
            self.tell_stop(Halt(own.headline))
        was_stopping = self._lines.is_stopping
        deadline_s = bounds.deadline_s(is_stopping=was_stopping)
        while late := self._lines.late():
            rest_s = deadline_s - time.monotonic()
            number = wait(rest_s) if rest_s > 0 else None
            if self._lines.is_stopping and (rest_s <= 0 or number is not None):
                break
            if rest_s <= 0:
                own = skewed(own, self._lines.names(late), bounds.patience_s)
                self.tell_stop(Halt(own.headline))
            elif number is not None:
                own = stopped(own, number)
                self.tell_stop(Halt(own.headline))
            self.read()
            if self._lines.is_stopping and not was_stopping:
                was_stopping = True
                deadline_s = bounds.deadline_s(is_stopping=True)
        return self._judge(own, may_restart)

    def give_up(self, code: int, headline: str) -> None:
        """Tell all that there will be no start."""
        self._tell_end(JobEnd(code, 0, None, f"{self.title(0)}: {headline}"))

    @property
    def traffic(self) -> Traffic:
        """What node 0 and all others have said to each other."""
        return self._lines.traffic

    def close(self) -> None:
        """Say what is still to be said, within a bound, and close everything."""
        self._lines.drain(_GOODBYE_S)
        self._lines.close()

    def _refuse_to_start_without_one(self) -> None:
        """Look at all nodes: one that said it is ready may have left since."""
        for rank, one in self._lines.nodes.items():
            if one.end is not None:
                raise PeerEndedError(f"{self.title(rank)}: {one.end.headline}", one.end.code)
        for rank, (why, _) in self._lines.lost.items():
            raise NotReadyError(f"{self.title(rank)} is lost before the start: {why}")

    def _judge(self, own: End, may_restart: bool) -> JobEnd:
        now_s = time.monotonic()
        for rank in self._lines.late():
            self._lines.lost[rank] = ("its launcher did not end its workers in time", now_s)
        ends = [own, *(one.end for one in self._lines.nodes.values() if one.end is not None)]
        titles = {rank: self.title(rank) for rank in (0, *self._lines.nodes)}
        end = judge(ends, self._lines.lost, titles=titles, may_restart=may_restart)
        self._tell_end(end)
        for member in self._lines.nodes.values():
            member.end = None
        return end

    def _tell_end(self, end: JobEnd) -> None:
        self._lines.broadcast({"type": "verdict", **asdict(end)})
