"""Messages as lines of JSON on a socket that never blocks; sizes have bounds, peers a proof."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Any

SILENCE_S = 25
"""A peer whose machine or line gives no sign for so long is lost."""
_PROBE_S = 5
FIRST_LIMIT, LIMIT = 4096, 256 * 1024
"""The longest line, in bytes: before a peer has proved that it belongs to the job, and after."""

Message = dict[str, Any]


@dataclass
class Traffic:
    """What went over lines: whole messages, and bytes."""

    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0

    @classmethod
    def total(cls, several: Iterable[Traffic]) -> Traffic:
        columns = list(zip(*map(astuple, several), strict=True))
        return cls(*map(sum, columns))


class LostError(Exception):
    """The line to a peer is no more; the message says how it ended."""


def proof(token: str, *parts: object) -> str:
    """Return what only who knows the token can say about these parts."""
    text = "\0".join(map(str, parts))
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_proof(given: object, token: str, *parts: object) -> bool:
    """Return whether that is the proof; takes as long for a wrong one."""
    return isinstance(given, str) and hmac.compare_digest(
        given.encode(errors="replace"), proof(token, *parts).encode()
    )


class Line:
    """One connection; what it cannot take at once waits here, what came half waits too."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        _watch_silence(connection)
        self.socket = connection
        self.limit = FIRST_LIMIT
        self.traffic = Traffic()
        self._in = b""
        self._out = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def has_more(self) -> bool:
        """Whether something waits to be sent: then wait for the socket to be writable, too."""
        return bool(self._out)

    def send(self, message: Message) -> None:
        """Send a message, as much of it as goes now.

        Raises:
            LostError: the peer is gone.
        """
        self._out += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self.traffic.messages_sent += 1
        self.flush()

    def flush(self) -> None:
        """Send what waits, as much as goes now; LostError where the peer is gone."""
        while self._out:
            try:
                sent = self.socket.send(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise LostError(_in_words(error)) from None
            self._out = self._out[sent:]
            self.traffic.bytes_sent += sent

    def receive(self) -> list[Message]:
        """Return the whole messages that are here; never waits.

        Raises:
            LostError: the peer is gone, or says what no launcher says.
        """
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError as error:
            raise LostError(_in_words(error)) from None
        if not data:
            raise LostError("its launcher has closed the connection")
        *lines, self._in = (self._in + data).split(b"\n")
        self.traffic.bytes_received += len(data)
        self.traffic.messages_received += len(lines)
        if max(map(len, [*lines, self._in])) > self.limit:
            raise LostError(f"it sent a line of more than {self.limit} bytes")
        return [_parse(line) for line in lines]

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise LostError(f"it sent {line[:40]!r}, which no launcher says")
    return message


def _in_words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no sign of its machine for {SILENCE_S} s"
    return error.strerror or str(error)


def _watch_silence(connection: socket.socket) -> None:
    """Let the kernel probe a quiet line, and give up one that does not answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, _PROBE_S),
        (socket.TCP_KEEPINTVL, _PROBE_S),
        (socket.TCP_KEEPCNT, SILENCE_S // _PROBE_S - 1),
        (socket.TCP_USER_TIMEOUT, SILENCE_S * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
