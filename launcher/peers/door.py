"""Node 0's open port: whoever comes has to say who it is, and that in short time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass

from launcher.environments.place import Place
from launcher.peers import hello as words
from launcher.peers.hello import Hello
from launcher.peers.line_up import listen
from launcher.peers.wire import Line, LostError, Message

_HANDSHAKE_S = 10.0
_MOST_GUESTS = 512


@dataclass
class Guest:
    """Somebody who came, and has not yet said who it is."""

    line: Line
    nonce: str
    until_s: float


class Door:
    """Lets in who belongs to the job.

    Args:
        own: what node 0 would say of itself.
        selector: where the port and the guests are waited for; its data are ours: a
            :class:`Guest`, or None for the port.
        admit: takes a node in, or says why not; "" = it has.
        say: tells the user who was refused.
    """

    def __init__(
        self,
        place: Place,
        own: Hello,
        *,
        token: str,
        selector: selectors.BaseSelector,
        admit: Callable[[Hello, Line], str],
        say: Callable[[str], None],
    ) -> None:
        self._own, self._token, self._selector = own, token, selector
        self._admit, self._say = admit, say
        self._server = listen(place, own.host)
        selector.register(self._server, selectors.EVENT_READ, None)
        self._guests: dict[int, Guest] = {}

    def open(self) -> None:
        """Let in who stands before the door."""
        try:
            connection, _ = self._server.accept()
        except OSError:
            return
        if len(self._guests) >= _MOST_GUESTS:
            self._dismiss(next(iter(self._guests.values())))
        line, challenge = Line(connection), words.challenge()
        guest = Guest(line, str(challenge["nonce"]), time.monotonic() + _HANDSHAKE_S)
        self._guests[line.fileno()] = guest
        self._selector.register(line, selectors.EVENT_READ, guest)
        self._send(guest, challenge)

    def listen_to(self, guest: Guest) -> None:
        """Hear what a guest says: only a right hello makes it a member."""
        try:
            for message in guest.line.receive()[:1]:
                self._greet(guest, message, Hello.from_message(message))
        except LostError:
            self._dismiss(guest)

    def drop_late(self) -> None:
        """Send away who said nothing in time."""
        now_s = time.monotonic()
        for guest in [one for one in self._guests.values() if one.until_s < now_s]:
            self._dismiss(guest)

    def close(self) -> None:
        for guest in list(self._guests.values()):
            self._dismiss(guest)
        self._server.close()

    def _greet(self, guest: Guest, message: Message, hello: Hello) -> None:
        why = words.why_refused(message, hello, token=self._token, nonce=guest.nonce, own=self._own)
        number = guest.line.fileno()
        if not why:
            self._selector.unregister(guest.line)
            why = self._admit(hello, guest.line)
            if why:
                self._selector.register(guest.line, selectors.EVENT_READ, guest)
        if why:
            self._say(f"a launcher on {hello.host} was refused: {why}")
            self._send(guest, {"type": "refuse", "why": why})
            self._dismiss(guest)
            return
        del self._guests[number]
        guest.line.send(words.welcome(self._token, message))

    def _send(self, guest: Guest, message: Message) -> None:
        try:
            guest.line.send(message)
        except LostError:
            self._dismiss(guest)

    def _dismiss(self, guest: Guest) -> None:
        if self._guests.pop(guest.line.fileno(), None) is not None:
            self._selector.unregister(guest.line)
            guest.line.close()
