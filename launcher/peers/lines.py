"""Node 0's lines to all other nodes: who is there, who is lost, and what they have said."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from launcher.environments.place import Place
from launcher.outcome import Halt
from launcher.peers.door import Door, Guest
from launcher.peers.ends import End
from launcher.peers.hello import Hello
from launcher.peers.wire import LIMIT, Line, LostError, Message, Traffic
from launcher.ranges import format_ranges

_MOST_NAMED = 8


@dataclass
class Node:
    """Another node that belongs to the job; ``is_gone`` once its line is closed."""

    hello: Hello
    line: Line
    ready: int = -1
    end: End | None = None
    is_gone: bool = False


class Lines:
    """One line to each node that has come, and one selector for all of them.

    Args:
        own: what node 0 would say of itself.
        say: tells the user who was refused.

    Raises:
        UsageError: the master address is none of this host.
        NotReadyError: the port is taken.
    """

    def __init__(self, place: Place, own: Hello, *, token: str, say: Callable[[str], None]) -> None:
        self._place, self._own = place, own
        self._selector = selectors.DefaultSelector()
        self._door = Door(
            place, own, token=token, selector=self._selector, admit=self._admit, say=say
        )
        self.nodes: dict[int, Node] = {}
        self.lost: dict[int, tuple[str, float]] = {}
        """Nodes that have not ended and are gone: why, and when that was seen."""
        self.has_started = False
        """Before the start a node that goes may come again; later it is missed."""
        self._is_stopping = False
        self._stops: list[Halt] = []

    def fileno(self) -> int:
        return self._selector.fileno()

    @property
    def is_stopping(self) -> bool:
        """Whether all nodes have been told to end their workers."""
        return self._is_stopping

    @property
    def traffic(self) -> Traffic:
        return Traffic.total(node.line.traffic for node in self.nodes.values())

    def title(self, node_rank: int) -> str:
        """Return ``node 1 (its host)``."""
        if node_rank == 0:
            return f"node 0 ({self._own.host})"
        node = self.nodes.get(node_rank)
        return f"node {node_rank} ({node.hello.host})" if node else self._place.title(node_rank)

    def names(self, ranks: Sequence[int]) -> str:
        """Return the titles of some nodes; of many only their numbers."""
        if len(ranks) > _MOST_NAMED:
            return f"{len(ranks)} nodes ({format_ranges(ranks)})"
        return ", ".join(map(self.title, ranks))

    def missing(self) -> list[int]:
        """Return which nodes have not come."""
        return [rank for rank in range(1, self._place.nnodes) if rank not in self.nodes]

    def unready(self, attempt: int) -> list[int]:
        return [rank for rank, node in self.nodes.items() if node.ready < attempt]

    def late(self) -> list[int]:
        """Return which nodes have neither ended their attempt nor gone."""
        return [rank for rank, one in self.nodes.items() if one.end is None and not one.is_gone]

    def pump(self, timeout_s: float) -> None:
        """Take what comes, at the longest so many seconds."""
        for key, events in self._selector.select(max(0.0, timeout_s)):
            if key.data is None:
                self._door.open()
            elif isinstance(key.data, Guest):
                self._door.listen_to(key.data)
            else:
                self._listen_to(key.data, events)
        self._door.drop_late()

    def broadcast(self, message: Message) -> None:
        for node in self._present():
            try:
                node.line.send(message)
                self._watch(node)
            except LostError as error:
                self._lose(node, str(error))

    def stop(self, halt: Halt) -> None:
        """Let all nodes end their workers, once; the reason names the node that says so."""
        if not self._is_stopping:
            self._is_stopping = True
            self.broadcast({"type": "stop", **halt._asdict()})

    def take_stops(self) -> list[Halt]:
        """Return why others want all to stop, as far as it has not been returned before."""
        stops, self._stops = self._stops, []
        return stops

    def begin_attempt(self) -> None:
        """Forget what the attempt before left."""
        self._is_stopping = False
        self._stops.clear()

    def drain(self, limit_s: float) -> None:
        """Send what still waits, within a bound."""
        deadline_s = time.monotonic() + limit_s
        while any(one.line.has_more for one in self._present()) and time.monotonic() < deadline_s:
            self.pump(deadline_s - time.monotonic())

    def close(self) -> None:
        for node in self.nodes.values():
            node.line.close()
        self._door.close()
        self._selector.close()

    def _admit(self, hello: Hello, line: Line) -> str:
        present = self.nodes.get(hello.node_rank)
        if present is not None:
            return f"node {hello.node_rank} is there already, on {present.hello.host} (--node-rank)"
        line.limit = LIMIT
        node = Node(hello, line)
        self.nodes[hello.node_rank] = node
        self._selector.register(line, selectors.EVENT_READ, node)
        return ""

    def _listen_to(self, node: Node, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                node.line.flush()
            messages = node.line.receive() if events & selectors.EVENT_READ else []
        except LostError as error:
            self._lose(node, str(error))
            return
        self._watch(node)
        for message in messages:
            self._hear(node, message)

    def _hear(self, node: Node, message: Message) -> None:
        kind = message["type"]
        try:
            if kind == "ready":
                node.ready = int(message["attempt"])
            elif kind == "stop":
                who = self.title(node.hello.node_rank)
                self._relay(Halt.from_message(message).said_by(who))
            elif kind == "ended":
                node.end = End.from_message(message, time.monotonic())
        except (KeyError, TypeError, ValueError) as error:
            self._lose(node, f"it sent what no launcher says ({error})")

    def _relay(self, halt: Halt) -> None:
        """Pass a node's stop on to all others, and to our own workers."""
        self._stops.append(halt)
        self.stop(halt)

    def _lose(self, node: Node, why: str) -> None:
        """Forget a line; who has not ended before is lost, or may come again before the start."""
        if node.is_gone:
            return
        node.is_gone = True
        rank = node.hello.node_rank
        self._selector.unregister(node.line)
        node.line.close()
        if not self.has_started:
            del self.nodes[rank]
        elif node.end is None:
            self.lost[rank] = (why, time.monotonic())
            self._relay(Halt(f"{self.title(rank)} is lost: {why}"))

    def _watch(self, node: Node) -> None:
        """Wait for what can happen on this line: reading, and writing where something waits."""
        writes = selectors.EVENT_WRITE if node.line.has_more else 0
        self._selector.modify(node.line, selectors.EVENT_READ | writes, node)

    def _present(self) -> Sequence[Node]:
        return [one for one in self.nodes.values() if not one.is_gone]
