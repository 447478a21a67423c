"""Node 0's side of the meeting: it takes the others in, starts all together and judges the end."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from launcher.environments.place import Place
from launcher.errors import NotReadyError
from launcher.outcome import Reason
from launcher.peers.door import Door, Guest
from launcher.peers.ends import Bounds, End, JobEnd, judge, skewed, stopped
from launcher.peers.errors import PeerEndedError, StoppedError
from launcher.peers.hello import Hello
from launcher.peers.signalled import Wait
from launcher.peers.wire import LIMIT, Line, LostError, Message, Traffic
from launcher.ranges import format_ranges

_GOODBYE_S = 2.0
_SPEAK_UP_S = 5.0
_MOST_NAMED = 8


@dataclass
class _Member:
    """Another node that belongs to the job; ``is_gone`` once its line is closed."""

    hello: Hello
    line: Line
    ready: int = -1
    end: End | None = None
    is_gone: bool = False


class Head:
    """The launchers of all other nodes, as node 0 sees them; one selector for all of them.

    Raises:
        UsageError: the master address is none of this host.
        NotReadyError: the port is taken.
    """

    def __init__(self, place: Place, own: Hello, *, token: str, say: Callable[[str], None]) -> None:
        self._place, self._own, self._say = place, own, say
        self._selector = selectors.DefaultSelector()
        self._door = Door(
            place, own, token=token, selector=self._selector, admit=self._admit, say=say
        )
        self._members: dict[int, _Member] = {}
        self._stops: list[str] = []
        self._lost: dict[int, tuple[str, float]] = {}
        self._has_started = self._is_stopping = False

    def fileno(self) -> int:
        """Return what is readable when there is something to :meth:`read` (an epoll of its own)."""
        return self._selector.fileno()

    def title(self, node_rank: int) -> str:
        """Return ``node 1 (its host)``."""
        if node_rank == 0:
            return f"node 0 ({self._own.host})"
        member = self._members.get(node_rank)
        return f"node {node_rank} ({member.hello.host})" if member else self._place.title(node_rank)

    def gather(self, limit_s: float) -> dict[int, Hello]:
        """Wait until every node is there; return what each says of itself, node 0 too.

        Raises:
            NotReadyError: some did not come in time; the message names them.
        """
        deadline_s = time.monotonic() + limit_s
        speak_up_s = time.monotonic() + _SPEAK_UP_S
        while missing := [rank for rank in range(1, self._place.nnodes) if not self._has(rank)]:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                raise NotReadyError(
                    f"{self._names(missing)} did not come to {self._place.master_addr}:"
                    f"{self._place.master_port} within {limit_s:g} s (--join-timeout), so that "
                    "nothing was started; start the launcher there, and look at what it says"
                )
            if now_s >= speak_up_s:
                speak_up_s = deadline_s
                self._say(f"waiting for {self._names(missing)}")
            self._pump(min(deadline_s, speak_up_s) - now_s)
        return {0: self._own, **{rank: one.hello for rank, one in self._members.items()}}

    def own_address(self) -> str:
        """Return the address of this host by which the others came."""
        return str(min(self._members.items())[1].line.socket.getsockname()[0])

    def start(self, message: Message) -> None:
        """Tell all nodes what is started; who is lost from now on is missed."""
        self._has_started = True
        self._broadcast({"type": "start", **message})

    def barrier(self, attempt: int, message: Message, *, limit_s: float, wait: Wait) -> Message:
        """Wait until every node is ready for an attempt, and let all go; return what they hear.

        Raises:
            NotReadyError: one is lost, or was not ready in time.
            PeerEndedError: one has ended before the start.
            StoppedError: a signal to us came first.
        """
        deadline_s = time.monotonic() + limit_s
        while waiting := [rank for rank, one in self._members.items() if one.ready < attempt]:
            for rank, one in self._members.items():
                if one.end is not None:
                    raise PeerEndedError(f"{self.title(rank)}: {one.end.headline}", one.end.code)
            for rank, (why, _) in self._lost.items():
                raise NotReadyError(f"{self.title(rank)} is lost before the start: {why}")
            if time.monotonic() >= deadline_s:
                raise NotReadyError(f"{self._names(waiting)} not ready within {limit_s:g} s")
            if (number := wait(deadline_s - time.monotonic())) is not None:
                raise StoppedError(number)
            self._pump(0.0)
        self._is_stopping = False
        self._stops.clear()
        self._broadcast({"type": "go", "attempt": attempt, **message})
        return message

    def read(self) -> list[str]:
        """Return why this node has to end its workers, if it has to; never waits."""
        self._pump(0.0)
        stops, self._stops = self._stops, []
        return stops

    def tell_stop(self, why: str) -> None:
        """Let every node end its workers."""
        if not self._is_stopping:
            self._is_stopping = True
            self._broadcast({"type": "stop", "why": f"{self.title(0)}: {why}"})

    def agree(self, own: End, bounds: Bounds, *, wait: Wait, may_restart: bool) -> JobEnd:
        """Wait until every node has ended its attempt; judge, and tell all.

        Args:
            own: how it ended here.
            wait: see :data:`launcher.peers.signalled.Wait`.
            may_restart: whether the policy allows another attempt.
        """
        if own.reason != Reason.SUCCESS.name:
            self.tell_stop(own.headline)
        was_stopping = self._is_stopping
        deadline_s = bounds.deadline_s(is_stopping=was_stopping)
        while late := self._late():
            rest_s = deadline_s - time.monotonic()
            number = wait(rest_s) if rest_s > 0 else None
            if self._is_stopping and (rest_s <= 0 or number is not None):
                break
            if rest_s <= 0:
                own = skewed(own, self._names(late), bounds.patience_s)
                self.tell_stop(own.headline)
            elif number is not None:
                own = stopped(own, number)
                self.tell_stop(own.headline)
            self.read()
            if self._is_stopping and not was_stopping:
                was_stopping = True
                deadline_s = bounds.deadline_s(is_stopping=True)
        return self._judge(own, may_restart)

    def give_up(self, code: int, headline: str) -> None:
        """Tell all that there will be no start."""
        self._tell_end(JobEnd(code, 0, None, f"{self.title(0)}: {headline}"))

    @property
    def traffic(self) -> Traffic:
        """What node 0 and all others have said to each other."""
        return Traffic.total(member.line.traffic for member in self._members.values())

    def close(self) -> None:
        """Say what is still to be said, within a bound, and close everything."""
        deadline_s = time.monotonic() + _GOODBYE_S
        while any(one.line.has_more for one in self._present()) and time.monotonic() < deadline_s:
            self._pump(deadline_s - time.monotonic())
        for member in self._members.values():
            member.line.close()
        self._door.close()
        self._selector.close()

    def _judge(self, own: End, may_restart: bool) -> JobEnd:
        now_s = time.monotonic()
        for rank in self._late():
            self._lost[rank] = ("its launcher did not end its workers in time", now_s)
        ends = [own, *(one.end for one in self._members.values() if one.end is not None)]
        titles = {rank: self.title(rank) for rank in (0, *self._members)}
        end = judge(ends, self._lost, titles=titles, may_restart=may_restart)
        self._tell_end(end)
        for member in self._members.values():
            member.end = None
        return end

    def _tell_end(self, end: JobEnd) -> None:
        self._broadcast({"type": "verdict", **asdict(end)})

    def _pump(self, timeout_s: float) -> None:
        """Take what comes, at the longest so many seconds."""
        for key, events in self._selector.select(max(0.0, timeout_s)):
            if key.data is None:
                self._door.open()
            elif isinstance(key.data, Guest):
                self._door.listen_to(key.data)
            else:
                self._listen_to(key.data, events)
        self._door.drop_late()

    def _admit(self, hello: Hello, line: Line) -> str:
        present = self._members.get(hello.node_rank)
        if present is not None:
            return f"node {hello.node_rank} is there already, on {present.hello.host} (--node-rank)"
        line.limit = LIMIT
        member = _Member(hello, line)
        self._members[hello.node_rank] = member
        self._selector.register(line, selectors.EVENT_READ, member)
        return ""

    def _listen_to(self, member: _Member, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                member.line.flush()
            messages = member.line.receive() if events & selectors.EVENT_READ else []
        except LostError as error:
            self._lose(member, str(error))
            return
        self._watch(member)
        for message in messages:
            self._hear(member, message)

    def _hear(self, member: _Member, message: Message) -> None:
        kind = message["type"]
        try:
            if kind == "ready":
                member.ready = int(message["attempt"])
            elif kind == "stop":
                self._relay(f"{self.title(member.hello.node_rank)}: {message['why']}")
            elif kind == "ended":
                member.end = End.from_message(message, time.monotonic())
        except (KeyError, TypeError, ValueError) as error:
            self._lose(member, f"it sent what no launcher says ({error})")

    def _relay(self, why: str) -> None:
        """Pass a node's stop on to all others, and end our own workers."""
        self._stops.append(why)
        if not self._is_stopping:
            self._is_stopping = True
            self._broadcast({"type": "stop", "why": why})

    def _lose(self, member: _Member, why: str) -> None:
        """Forget a line; who has not ended before is lost, or may come again before the start."""
        if member.is_gone:
            return
        member.is_gone = True
        rank = member.hello.node_rank
        self._selector.unregister(member.line)
        member.line.close()
        if not self._has_started:
            del self._members[rank]
        elif member.end is None:
            self._lost[rank] = (why, time.monotonic())
            self._relay(f"{self.title(rank)} is lost: {why}")

    def _broadcast(self, message: Message) -> None:
        for member in self._present():
            try:
                member.line.send(message)
                self._watch(member)
            except LostError as error:
                self._lose(member, str(error))

    def _watch(self, member: _Member) -> None:
        """Wait for what can happen on this line: reading, and writing where something waits."""
        writes = selectors.EVENT_WRITE if member.line.has_more else 0
        self._selector.modify(member.line, selectors.EVENT_READ | writes, member)

    def _present(self) -> Sequence[_Member]:
        return [one for one in self._members.values() if not one.is_gone]

    def _has(self, rank: int) -> bool:
        return rank in self._members

    def _late(self) -> list[int]:
        return [rank for rank, one in self._members.items() if one.end is None and not one.is_gone]

    def _names(self, ranks: Sequence[int]) -> str:
        if len(ranks) > _MOST_NAMED:
            return f"{len(ranks)} nodes ({format_ranges(ranks)})"
        return ", ".join(map(self.title, ranks))
