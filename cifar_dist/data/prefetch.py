"""Items made ahead by a thread of their own, in order and in bounded number."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

_STUCK_S = 600.0
_JOIN_S = 30.0


class Prefetch(Generic[Item]):
    """An iterator that yields what another one yields, made while the consumer works.

    The items and their order are those of the source: it runs in one thread, and only there. An
    exception of the source reaches the consumer at the place where its item would have come. Use it
    in a ``with`` block, or call :meth:`close`; both end the thread.

    Args:
        source: what makes the items; it is closed, where it can be, by the thread that ran it.
        ahead: how many finished items may wait, >= 1.
    """

    def __init__(self, source: Iterator[Item], *, ahead: int = 4) -> None:
        if ahead < 1:
            raise ValueError(f"ahead must be 1 or more, not {ahead}")
        self._source = source
        self._ahead = ahead
        self._ready: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Prefetch[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            if not self._changed.wait_for(self._something_to_say, timeout=_STUCK_S):
                raise RuntimeError(f"no batch was made within {_STUCK_S:g} s")
            if self._ready and not self._closed:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None and not self._closed:
                raise self._error
            raise StopIteration

    def close(self) -> None:
        """Stop making items, drop those that wait, and end the thread; safe to call again."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _something_to_say(self) -> bool:
        return bool(self._ready) or self._ended or self._closed

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._source:
                if not self._put(item):
                    break
            if close := getattr(self._source, "close", None):
                close()
        except BaseException as problem:  # whatever it is, the consumer must see it
            error = problem
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        """Hand an item over once there is room; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._ahead or self._closed)
            if self._closed:
                return False
            self._ready.append(item)
            self._changed.notify_all()
            return True
