from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.host.node import Host
from launcher.host.npus import Npus
from launcher.planning.affinity import (
    share_cores,
    split_cores,
    split_near,
    split_numa,
    split_within,
    thread_count,
)

HOST = Host("h", {}, Npus(), cores=tuple(range(8)), numa_nodes=((0, 1, 2, 3), (4, 5, 6, 7)))
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


NEAR = st.lists(st.sampled_from([(0, 1, 2, 3), (4, 5, 6, 7), (2, 3, 4), (90,)]), min_size=1)


@given(CORES, NEAR)
def test_shares_near_a_device_are_even_and_apart(cores: list[int], near: list) -> None:
    shares = split_near(cores, near)
    sizes = [len(share) for share in shares]
    assert len(shares) == len(near)
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    used = [core for share in shares for core in share]
    assert set(used) <= set(cores)
    if len(near) <= len(cores):
        assert sorted(used) == cores


def test_shares_begin_with_the_cores_near_the_device() -> None:
    # Eight 910B3 on 192 cores: two NPUs have the same 24 near cores.
    near = [range(144, 168)] * 2 + [range(96, 120)] * 2 + [range(24)] * 2 + [range(48, 72)] * 2
    shares = split_near(range(192), near)
    assert {len(share) for share in shares} == {24}
    for share, own in zip(shares, near, strict=True):
        assert len(set(share) & set(own)) == 12
    within = split_within(range(192), near)
    assert within[0] == tuple(range(144, 156))
    assert within[1] == tuple(range(156, 168))


def test_no_share_is_made_of_cores_that_are_not_allowed() -> None:
    assert split_within((0, 1), [(0, 1), (4, 5)]) == ()
    assert split_near((0, 1, 2, 3), [(8, 9), (0, 1)]) == ((2, 3), (0, 1))


def test_bind_cores_begins_near_the_npu_where_that_is_known() -> None:
    near = [(6, 7), (0, 1)]
    assert share_cores("cores", HOST, 2, near).cores == ((2, 3, 6, 7), (0, 1, 4, 5))
    assert share_cores("cores", HOST, 2, [(6, 7), ()]).cores == ((0, 1, 2, 3), (4, 5, 6, 7))


def test_bind_numa_means_the_npus_node_where_it_is_known() -> None:
    shares = share_cores("numa", HOST, 2, [(4, 5, 6, 7), (4, 5, 6, 7)])
    assert shares.cores == ((4, 5), (6, 7))
    assert share_cores("numa", HOST, 2, []).cores == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert share_cores("none", HOST, 2, []).cores == ((), ())


def test_a_quota_limits_threads_and_is_said() -> None:
    limited = HOST._replace(cpu_quota=2.5)
    assert share_cores("cores", limited, 2, []).notes == (
        "the control group grants the time of 2.5 cores: threads follow that",
    )
    assert share_cores("cores", HOST._replace(cpu_quota=8.0), 2, []).notes == ()


@given(st.integers(1, 64), st.none() | st.floats(0.01, 200), st.integers(1, 64))
def test_threads_are_at_least_one_and_never_beyond_the_share(
    size: int, quota: float | None, count: int
) -> None:
    threads = thread_count(tuple(range(size)), quota, count)
    assert 1 <= threads <= size
    if quota is not None:
        assert threads == 1 or threads * count <= quota
