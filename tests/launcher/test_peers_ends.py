"""What the ends on all nodes come to for a job."""

from __future__ import annotations

import select
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.options import LaunchSpec
from launcher.outcome import Reason
from launcher.peers.ends import MOST_TEXT, End, JobEnd, judge
from launcher.peers.wire import SILENCE_S, Line, LostError, is_proof, proof
from launcher.supervision.ladder import AFTER_KILL_S

LONG_S = 30.0
TITLES = {0: "node 0 (a)", 1: "node 1 (b)", 2: "node 2 (c)"}


def end(node_rank: int, reason: str = "FAILURE", began_s: float = 10.0, **more: Any) -> End:
    values = {"code": 3 + node_rank, "headline": f"why {node_rank}", **more}
    return End(node_rank, "h", reason=reason, began_s=began_s, **values)


def verdict(*ends: End, lost: dict[int, tuple[str, float]] | None = None) -> JobEnd:
    return judge(ends, lost or {}, titles=TITLES, may_restart=True)


def test_a_dead_machine_ends_the_others_within_a_minute_by_default() -> None:
    assert SILENCE_S + LaunchSpec(command=("x",)).grace_s + AFTER_KILL_S < 60


def test_all_good_is_good() -> None:
    assert verdict(end(0, "SUCCESS", code=0), end(1, "SUCCESS", code=0)) == JobEnd(0)


def test_the_earliest_failure_counts() -> None:
    found = verdict(end(0, began_s=11), end(1, began_s=10), end(2, began_s=12))
    assert (found.code, found.node_rank, found.headline) == (4, 1, "node 1 (b): why 1")


def test_a_consequence_does_not_count_even_if_it_was_seen_first() -> None:
    found = verdict(end(0, began_s=9, is_victim=True), end(1, began_s=10))
    assert found.node_rank == 1


def test_consequences_alone_still_fail_the_job() -> None:
    assert verdict(end(0, is_victim=True), end(1, "PEER")).code == 3


def test_a_lost_node_explains_the_connections_that_broke_elsewhere() -> None:
    found = verdict(end(0, began_s=9, is_victim=True), lost={1: ("closed", 9.5)})
    assert (found.code, found.node_rank) == (1, 1)
    assert found.headline == "node 1 (b) is lost: closed"


def test_a_failure_before_a_loss_is_the_cause() -> None:
    assert verdict(end(0, began_s=9), lost={1: ("closed", 9.5)}).node_rank == 0


def test_of_hangs_the_rank_that_is_furthest_behind_is_to_blame() -> None:
    found = verdict(end(0, "HANG", 10, step=7), end(1, "HANG", 11, step=6), end(2, "PEER"))
    assert found.node_rank == 1


def test_after_a_loss_there_is_no_restart() -> None:
    good = verdict(end(0, may_restart=True))
    assert good.restarts
    assert not verdict(end(0, may_restart=True), lost={1: ("closed", 99.0)}).restarts
    assert not verdict(end(0, may_restart=False)).restarts


def test_an_end_travels_as_an_age_because_clocks_differ() -> None:
    sent = end(1, began_s=100.0, report="x" * 99_999, root_cause_rank=5).to_message(now_s=103.0)
    came = End.from_message(sent, now_s=7000.0)
    assert came.began_s == 6997.0
    assert (came.root_cause_rank, len(came.report)) == (5, MOST_TEXT)


@pytest.mark.parametrize("wrong", [{}, {"age_s": "x"}, {"age_s": 1, "code": "seven"}])
def test_what_is_no_end_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no end of an attempt"):
        End.from_message(wrong, 0.0)


@given(st.lists(st.integers(1, 50), max_size=30))
def test_messages_arrive_whole_however_they_are_cut(sizes: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        line = Line(server.accept()[0])
    data = b'{"type":"a","n":1}\n{"type":"b","text":"\xc3\xa9"}\n'
    came, place = [], 0
    for size in [*sizes, len(data)]:
        if place < len(data):
            one.sendall(data[place : place + size])
            select.select([line], [], [], LONG_S)
            came += line.receive()
        place += size
    assert [message["type"] for message in came] == ["a", "b"]
    one.close()
    select.select([line], [], [], LONG_S)
    with pytest.raises(LostError, match="closed"):
        line.receive()
    line.close()


def test_a_proof_is_of_one_token_and_one_text() -> None:
    good = proof("t", "hello", 1)
    assert is_proof(good, "t", "hello", 1)
    assert not is_proof(good, "u", "hello", 1)
    assert not is_proof(good, "t", "hello", 2)
    assert not is_proof(None, "t", "hello", 1)
    assert not is_proof("\udcff", "t", "hello", 1)


def test_reasons_are_those_of_outcomes() -> None:
    assert {"SUCCESS", "PEER", "HANG", "STOPPED", "FAILURE"} <= {one.name for one in Reason}
