from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.ranges import format_ranges, parse_ranges


@given(st.sets(st.integers(0, 300), min_size=1))
def test_what_is_written_is_read_back(numbers: set[int]) -> None:
    assert parse_ranges(format_ranges(numbers)) == tuple(sorted(numbers))


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert parse_ranges(text)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((4,), "4"), ((0, 1), "0,1"), ((2, 0, 1, 6), "0-2,6"), ((5, 7, 8), "5,7,8")],
)
def test_runs_of_three_or_more_are_shortened(numbers: tuple[int, ...], text: str) -> None:
    assert format_ranges(numbers) == text


@pytest.mark.parametrize("text", ["", ",", "a", "3-1", "1-", "-1", "0 1", "0-99999999", "1-2-3"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a number nor a range|is no range"):
        parse_ranges(text)
