from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.environments.hostlist import expand_counts, expand_hosts, format_counts


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", "n1"),
        ("n[1-2]", "n1 n2"),
        ("node[01-03,7],gpu5", "node01 node02 node03 node7 gpu5"),
        ("n[08-10]", "n08 n09 n10"),
        ("rack[0-1]-n[1-2].site", "rack0-n1.site rack0-n2.site rack1-n1.site rack1-n2.site"),
        ("a-b,c[5]", "a-b c5"),
    ],
)
def test_host_lists_are_expanded_in_their_order(text: str, names: str) -> None:
    assert expand_hosts(text) == tuple(names.split())


@pytest.mark.parametrize(
    "text", ["", ",", "n1,", "n[1-", "n[3-1]", "n[a-b]", "n[]", "n]1[", "n[1-999999999]",
             "n[1-400][1-400]", "n[1,2"]
)  # fmt: skip
def test_what_is_no_host_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|number|range|go up"):
        expand_hosts(text)


@given(st.lists(st.integers(0, 999_999), min_size=1, max_size=40))
def test_counts_are_read_back_as_they_were_written(counts: list[int]) -> None:
    assert expand_counts(format_counts(counts)) == tuple(counts)


def test_equal_counts_of_many_nodes_stay_short() -> None:
    assert format_counts([8] * 1250) == "8(x1250)"


@pytest.mark.parametrize("text", ["", "2(x)", "-1", "2(x3", "1(x999999)", "two"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="count"):
        expand_counts(text)


@given(st.text("n0123456789[]-,", max_size=20))
def test_any_text_is_expanded_or_refused_as_a_value_error(text: str) -> None:
    try:
        assert expand_hosts(text)
    except ValueError:
        return
