from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.terminal.logs import LONGEST_LINE, Folder, LineCutter, prefix

PLAIN = st.text(st.characters(exclude_categories=["C"], include_characters="\t"), max_size=30)


def cut(*pieces: bytes, colours: bool = False) -> list[str]:
    cutter = LineCutter(colours=colours)
    return [line for piece in pieces for line in cutter.feed(piece, 0.0)] + cutter.flush()


@given(st.lists(PLAIN), st.lists(st.integers(0, 200)))
def test_lines_come_out_as_they_went_in_however_they_were_cut(
    lines: list[str], cuts: list[int]
) -> None:
    lines = [line.replace("\x85", "").replace("\u2028", "") for line in lines]
    data = "".join(f"{line}\n" for line in lines).encode()
    edges = [0, *sorted(min(place, len(data)) for place in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert cut(*pieces) == lines


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_become_lines_without_control_characters(pieces: list[bytes]) -> None:
    for line in cut(*pieces):
        assert "\n" not in line
        assert not any(ord(character) < 32 and character != "\t" for character in line)


def test_invalid_utf8_is_replaced() -> None:
    assert cut(b"a\xffb\n") == ["a\ufffdb"]


def test_a_line_that_is_too_long_is_cut_between_characters() -> None:
    text = "\u20ac" * LONGEST_LINE
    pieces = cut(text.encode(), b"\n")
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= LONGEST_LINE for piece in pieces)
    assert cut((text + "\n").encode()) == pieces


def test_windows_line_ends_are_no_progress_bars() -> None:
    assert cut(b"one\r", b"\ntwo\r\n") == ["one", "two"]


def test_an_unfinished_line_is_shown_after_two_seconds_of_silence() -> None:
    cutter = LineCutter()
    assert cutter.feed(b"Enter: ", 10.0) == []
    assert cutter.due() == 12.0
    assert cutter.poll(11.9) == []
    assert cutter.poll(12.0) == ["Enter: "]
    assert cutter.due() is None
    assert cutter.feed(b"yes\n", 13.0) == ["yes"]


@pytest.mark.parametrize("form", ["\r{}", "{}\r"], ids=["leading", "trailing"])
def test_a_bar_is_shown_once_a_second_by_its_latest_state_and_at_its_end(form: str) -> None:
    cutter = LineCutter()
    shown = []
    for tenth in range(35):
        now = 100 + tenth / 10
        shown += [(now, line) for line in cutter.feed(form.format(f"{tenth}%").encode(), now)]
    shown += [(104.0, line) for line in cutter.feed(b"\rdone\n", 104.0)]
    assert shown[-1] == (104.0, "done")
    times = [now for now, _ in shown[:-1]]
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(times))
    assert 3 <= len(times) <= 4
    assert all(re.fullmatch(r"\d+%", line) for _, line in shown[:-1])


def test_the_last_state_of_a_silent_bar_is_shown_when_it_is_due() -> None:
    cutter = LineCutter()
    assert cutter.feed(b"\r1%", 10.0) == ["1%"]
    assert cutter.feed(b"\r2%", 10.1) == []
    assert cutter.due() == 11.0
    assert cutter.poll(11.0) == ["2%"]
    assert cutter.due() is None
    assert cutter.feed(b"\n", 20.0) == []


def test_a_bar_needs_bounded_memory() -> None:
    cutter = LineCutter()
    for number in range(10_000):
        cutter.feed(b"\r" + b"x" * 100 + str(number).encode(), 0.0)
    assert len(cutter._open) < 200


def test_escapes_are_removed_and_colours_kept_where_they_are_wanted() -> None:
    raw = b"\x1b[31mred\x1b[0m\x1b[2K\x1b]0;title\x07 \x1b[1Aup\x07\n"
    assert cut(raw) == ["red up"]
    assert cut(raw, colours=True) == ["\x1b[31mred\x1b[0m up\x1b[0m"]


def fold(*added: tuple[float, int, str], ranks: int = 3) -> Folder:
    folder = Folder(range(ranks))
    for now, rank, text in added:
        folder.add(rank, [text], now)
    return folder


def test_a_line_that_all_ranks_print_is_shown_once_and_at_once() -> None:
    folder = fold((1.0, 0, "a"), (1.0, 2, "a"), (1.1, 1, "a"))
    assert list(folder.ready(1.1)) == ["[0-2] a"]


def test_a_line_waits_for_other_ranks_a_fifth_of_a_second() -> None:
    folder = fold((1.0, 0, "a"), (1.0, 1, "a"))
    assert list(folder.ready(1.1)) == []
    assert folder.due() == 1.2
    assert list(folder.ready(1.21)) == ["[0,1] a"]
    assert folder.due() is None


def test_the_same_line_twice_by_one_rank_stays_twice() -> None:
    folder = fold((1.0, 0, "a"), (1.0, 0, "a"), (1.0, 1, "a"))
    assert list(folder.ready(2.0)) == ["[0,1] a", "[rank 0] a"]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc")), max_size=40))
def test_folding_never_changes_the_order_of_a_ranks_lines(added: list[tuple[int, str]]) -> None:
    folder = fold(*((1.0, rank, text) for rank, text in added))
    shown = list(folder.ready(2.0))
    for rank in range(3):
        mine = [line[-1] for line in shown if rank in ranks_of(line)]
        assert mine == [text for one, text in added if one == rank]


def ranks_of(line: str) -> set[int]:
    ranks = line[1 : line.index("]")].replace("rank ", "").replace("0-2", "0,1,2")
    return {int(rank) for rank in ranks.split(",")}


def test_prefixes() -> None:
    assert prefix([3]) == "[rank 3] "
    assert prefix({0, 1, 2, 7}) == "[0-2,7] "


def test_what_mindspore_prints_at_every_end_is_not_shown() -> None:
    noise = b"[INFO] DISTRIBUTED(7,7f,python):t [f.cc:367] Start] Event base dispatch success!\n"
    assert LineCutter().feed(b"before\n" + noise + b"after\n", 0.0) == ["before", "after"]
