from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cifar_dist.data.prefetch import Prefetch

DEADLINE_S = 30


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_come_in_order_and_the_thread_ends() -> None:
    with Prefetch(iter(range(1000)), ahead=3) as items:
        assert list(items) == list(range(1000))
        assert list(items) == []
    assert prefetch_threads() == []


def test_no_more_items_are_made_than_may_wait() -> None:
    made: list[int] = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 2:
                full.set()
            yield number

    with Prefetch(source(), ahead=2) as items:
        assert full.wait(DEADLINE_S)
        assert made == [0, 1, 2]  # two wait, the third is in hand
        assert next(items) == 0


def test_an_error_arrives_where_its_item_would_have_come() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError("in the thread")

    with Prefetch(source(), ahead=4) as items:
        assert [next(items), next(items)] == [1, 2]
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="in the thread") as caught:
                next(items)
        assert any(entry.name == "source" for entry in caught.traceback)


def test_closing_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = Prefetch(source(), ahead=2)
    assert next(items) == 1
    items.close()
    items.close()
    assert closed.wait(DEADLINE_S)
    assert prefetch_threads() == []
    assert list(items) == []


def consume_and_fail() -> None:
    with Prefetch(iter(range(100)), ahead=1) as items:
        raise KeyError(next(items))


def test_leaving_the_block_by_an_error_ends_the_thread() -> None:
    with pytest.raises(KeyError):
        consume_and_fail()
    assert prefetch_threads() == []


def test_closing_wakes_a_consumer_that_waits() -> None:
    release = threading.Event()

    def source() -> Iterator[int]:
        release.wait(DEADLINE_S)
        yield 1

    items = Prefetch(source())
    seen: list[list[int]] = []
    consumer = threading.Thread(target=lambda: seen.append(list(items)))
    consumer.start()
    closer = threading.Thread(target=items.close)
    closer.start()
    consumer.join(DEADLINE_S)
    assert seen == [[]]
    release.set()
    closer.join(DEADLINE_S)
    assert not closer.is_alive()


@pytest.mark.parametrize("ahead", [0, -1])
def test_no_room_for_an_item_is_refused(ahead: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Prefetch(iter([1]), ahead=ahead)
