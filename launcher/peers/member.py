"""A node's side of the meeting: one line to node 0, and to nobody else."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import fields

from launcher.environments.place import Place
from launcher.errors import NotReadyError, UsageError
from launcher.outcome import Halt, Reason
from launcher.peers import hello as words
from launcher.peers.ends import Bounds, End, JobEnd, stopped
from launcher.peers.errors import PeerEndedError, StoppedError
from launcher.peers.hello import Hello
from launcher.peers.line_up import call
from launcher.peers.signalled import Wait
from launcher.peers.wire import LIMIT, Line, LostError, Message, Traffic

_HANDSHAKE_S = 10.0
_PAUSE_S = 0.5
_SEND_S = 2.0


class Member:
    """The line to node 0, taken up by :meth:`join`."""

    def __init__(self, place: Place, own: Hello, *, token: str, say: Callable[[str], None]) -> None:
        self._place, self._own, self._token, self._say = place, own, token, say
        self._line: Line | None = None
        self._heard: deque[Message] = deque()
        self._head_host = ""
        self._lost = ""
        self._is_stopping = False

    def fileno(self) -> int:
        """Return what is readable when there is something to :meth:`read`; -1 = nothing more."""
        return -1 if self._lost else self._connected.fileno()

    @property
    def own_address(self) -> str:
        """The address of this host by which it reaches node 0."""
        return str(self._connected.socket.getsockname()[0])

    def title(self) -> str:
        return f"node 0 ({self._head_host})" if self._head_host else self._place.title(0)

    def join(self, limit_s: float) -> Message:
        """Come to node 0, and wait for its word of what is started.

        Raises:
            NotReadyError: node 0 is not there, or does not have all nodes together in time.
            UsageError: node 0 refuses this node.
            PeerEndedError: node 0 has ended.
        """
        deadline_s = time.monotonic() + limit_s
        stranger = ""
        while self._line is None:
            try:
                connection = Line(call(self._place, deadline_s, self._say))
            except NotReadyError:
                if not stranger:
                    raise
                raise NotReadyError(self._is_no_launcher(stranger)) from None
            try:
                self._greet(connection, min(deadline_s, time.monotonic() + _HANDSHAKE_S))
                self._line = connection
            except LostError as error:
                connection.close()
                self._heard.clear()
                stranger = str(error)
                time.sleep(_PAUSE_S)
        # Node 0 has its own bound, and says which nodes are missing; it may have begun later.
        return self._wait_for("start", time.monotonic() + limit_s + _HANDSHAKE_S)

    def barrier(self, attempt: int, message: Message, *, limit_s: float, wait: Wait) -> Message:
        """Say that this node is ready for an attempt; return node 0's word to begin.

        Raises:
            NotReadyError: node 0 is lost, or the others were not ready in time.
            PeerEndedError: a node has ended before the start.
            StoppedError: a signal to us came first.
        """
        self._send({"type": "ready", "attempt": attempt, **message})
        self._is_stopping = False
        return self._wait_for("go", time.monotonic() + limit_s, wait)

    def read(self) -> list[Halt]:
        """Return why this node has to end its workers, if it has to; never waits."""
        self._receive()
        stops = [Halt.from_message(one) for one in self._heard if one["type"] == "stop"]
        self._heard = deque(one for one in self._heard if one["type"] != "stop")
        if self._lost and not self._is_stopping:
            stops.append(Halt(f"{self.title()} is lost: {self._lost}"))
        self._is_stopping = self._is_stopping or bool(stops)
        return stops

    def tell_stop(self, halt: Halt) -> None:
        """Let every node end its workers."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send({"type": "stop", **halt._asdict()})

    def agree(self, own: End, bounds: Bounds, *, wait: Wait, may_restart: bool) -> JobEnd:
        """Tell how it ended here, and return what node 0 says of all (see :meth:`Head.agree`)."""
        del may_restart  # node 0 decides
        self._send({"type": "ended", **own.to_message(time.monotonic())})
        deadline_s = Bounds(bounds.limit_s, 0).deadline_s(
            is_stopping=own.reason != Reason.SUCCESS.name
        )
        while (verdict := self._take("verdict")) is None:
            if self._lost:
                return JobEnd(1, 0, None, f"{self.title()} is lost: {self._lost}")
            rest_s = deadline_s - time.monotonic()
            if rest_s <= 0:
                return JobEnd(own.code or 1, None, None, f"{self.title()} did not say how it ended")
            number = wait(rest_s)
            was_stopping = self._is_stopping
            if number is not None:
                if was_stopping:
                    return JobEnd(128 + number, None, None, own.headline)
                own = stopped(own, number)
                self.tell_stop(Halt(own.headline))
                self._send({"type": "ended", **own.to_message(time.monotonic())})
            self.read()
            if self._is_stopping and not was_stopping:
                deadline_s = bounds.deadline_s(is_stopping=True)
        return _job_end(verdict)

    def give_up(self, code: int, headline: str) -> None:
        """Tell that this node will not start."""
        own = End(self._own.node_rank, self._own.host, code, Reason.START.name, headline=headline)
        self._send({"type": "ended", **own.to_message(time.monotonic())})

    @property
    def traffic(self) -> Traffic:
        """What this node and node 0 have said to each other."""
        return self._connected.traffic

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    @property
    def _connected(self) -> Line:
        assert self._line is not None, "join() comes first"
        return self._line

    def _greet(self, line: Line, until_s: float) -> None:
        challenged = self._next(line, until_s)
        said = words.answer(self._own, self._token, challenged)
        line.send(said)
        reply = self._next(line, until_s)
        if reply["type"] == "refuse":
            raise UsageError(f"{self._place.title(0)} refuses this node: {reply.get('why', '')}")
        if not words.is_welcome(self._token, said, reply):
            raise LostError("what answers there does not know the token of this job")
        line.limit = LIMIT

    def _next(self, line: Line, until_s: float) -> Message:
        """Return the next message; LostError where none comes in time."""
        while (rest_s := until_s - time.monotonic()) > 0:
            select.select([line], [], [], rest_s)
            self._heard += line.receive()
            if self._heard:
                return self._heard.popleft()
        raise LostError("it says nothing")

    def _is_no_launcher(self, why: str) -> str:
        where = f"{self._place.master_addr}:{self._place.master_port}"
        return (
            f"{self._place.title(0)} was not found: what answers at {where} is no launcher of this "
            f"job ({why}); if another program has that port on node 0, the launcher there says "
            "which one; check --master-addr, --master-port and LAUNCHER_TOKEN, which must be the "
            "same on all nodes"
        )

    def _wait_for(self, kind: str, deadline_s: float, wait: Wait | None = None) -> Message:
        wait = wait or self._wait
        while True:
            self._receive()
            if (message := self._take(kind)) is not None:
                self._head_host = str(message.get("host", self._head_host))
                return message
            if (verdict := self._take("verdict")) is not None:
                end = _job_end(verdict)
                raise PeerEndedError(end.headline, end.code)
            if self._lost:
                raise NotReadyError(f"{self.title()} is lost before the start: {self._lost}")
            rest_s = deadline_s - time.monotonic()
            if rest_s <= 0:
                raise NotReadyError(f"{self.title()} did not say when to start in time")
            if (number := wait(rest_s)) is not None:
                raise StoppedError(number)

    def _wait(self, limit_s: float) -> None:
        select.select([self._connected], [], [], limit_s)

    def _take(self, kind: str) -> Message | None:
        for message in self._heard:
            if message["type"] == kind:
                self._heard.remove(message)
                return message
        return None

    def _receive(self) -> None:
        if self._lost:
            return
        try:
            self._heard += self._connected.receive()
        except LostError as error:
            self._lost = str(error)

    def _send(self, message: Message) -> None:
        if self._lost or self._line is None:
            return
        deadline_s = time.monotonic() + _SEND_S
        try:
            self._line.send(message)
            while self._line.has_more and (rest_s := deadline_s - time.monotonic()) > 0:
                select.select([], [self._line], [], rest_s)
                self._line.flush()
        except LostError as error:
            self._receive()  # node 0's last words may be here already
            self._lost = self._lost or str(error)


def _job_end(message: Message) -> JobEnd:
    known = {one.name for one in fields(JobEnd)} & set(message)
    return JobEnd(**{name: message[name] for name in known})
