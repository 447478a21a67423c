from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.affinity import split_cores, split_numa

CORES = st.sets(st.integers(0, 200), min_size=1, max_size=64).map(sorted)


@given(CORES, st.integers(1, 70))
def test_shares_are_even_contiguous_and_never_empty(cores: list[int], count: int) -> None:
    shares = split_cores(cores, count)
    sizes = [len(share) for share in shares]
    assert len(shares) == count
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    used = [core for share in shares for core in share]
    assert set(used) <= set(cores)
    if count <= len(cores):
        assert used == cores
    else:
        assert max(used.count(core) for core in cores) <= -(-count // len(cores))


@given(CORES, st.integers(1, 40), st.integers(1, 20))
def test_no_share_spans_two_numa_nodes(cores: list[int], count: int, node_size: int) -> None:
    nodes = [range(first, first + node_size) for first in range(0, 201, node_size)]
    shares = split_numa(cores, nodes, count)
    assert len(shares) == count
    for share in shares:
        assert share
        assert set(share) <= set(cores)
        assert len({core // node_size for core in share}) == 1


def test_workers_are_spread_over_the_nodes_in_order() -> None:
    nodes = ((0, 1, 2, 3), (4, 5, 6, 7))
    assert split_numa(range(8), nodes, 2) == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert split_numa(range(8), nodes, 4) == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert split_numa(range(2, 6), nodes, 2) == ((2, 3), (4, 5))
    assert split_numa(range(8), (), 2) == ()
