"""Launchers that talk to each other over real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from launcher.environments.place import Place
from launcher.errors import NotReadyError, UsageError
from launcher.outcome import Halt, Reason
from launcher.peers.ends import Bounds, End
from launcher.peers.errors import PeerEndedError, StoppedError
from launcher.peers.head import Head
from launcher.peers.hello import Hello, answer
from launcher.peers.member import Member
from launcher.peers.signalled import wait_for as wait_for_peers
from launcher.peers.wire import Line
from launcher.planning.ports import PortReservation
from launcher.supervision.signals import WITHOUT_WORKERS, Signals

LONG_S = 60.0
BOUNDS = Bounds(LONG_S, LONG_S)


def quiet(text: str) -> None:
    del text


def hello(node_rank: int, nnodes: int = 2, **more: Any) -> Hello:
    values = {"host": f"h{node_rank}", "nproc": node_rank + 1, "target": "CPU", **more}
    return Hello(node_rank=node_rank, nnodes=nnodes, **values)


def ended(node_rank: int, reason: Reason = Reason.SUCCESS, code: int = 0, **more: Any) -> End:
    now_s = time.monotonic()
    return End(node_rank, f"h{node_rank}", code, reason.name, began_s=now_s, **more)


def waiting(peers: Any) -> Callable[[float], None]:
    import select

    def wait(limit_s: float) -> None:
        select.select([peers], [], [], min(limit_s, 1.0))

    return wait


class Meeting:
    """Node 0 and others in threads of one process."""

    def __init__(self, nnodes: int, token: str = "secret") -> None:
        self.ports = PortReservation()
        self.port = self.ports.choose()
        self.ports.release()
        self.nnodes, self.token = nnodes, token
        self.said: list[str] = []
        self.pool = ThreadPoolExecutor(16)
        self.head = Head(self.place(0), hello(0, nnodes), token=token, say=self.said.append)
        self.members: list[Member] = []

    def place(self, node_rank: int) -> Place:
        return Place(self.nnodes, node_rank, "127.0.0.1", self.port)

    def come(
        self, node_rank: int, *, token: str = "", limit_s: float = LONG_S, **more: Any
    ) -> Future[Any]:
        who = hello(node_rank, more.pop("nnodes", self.nnodes), **more)
        member = Member(self.place(node_rank), who, token=token or self.token, say=quiet)
        self.members.append(member)
        return self.pool.submit(member.join, limit_s)

    def close(self) -> None:
        for one in (*self.members, self.head):
            one.close()
        self.ports.close()
        self.pool.shutdown(cancel_futures=True)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with closing(Meeting(2)) as made:
        yield made


@pytest.fixture
def met(meeting: Meeting) -> Meeting:
    """Two nodes that have met and lined up."""
    joined = meeting.come(1)
    meeting.head.gather(LONG_S)
    meeting.head.start({"workers": "1,2", "host": "h0"})
    assert joined.result(LONG_S)["workers"] == "1,2"
    line_up(meeting)
    return meeting


def line_up(meeting: Meeting, attempt: int = 0) -> dict[str, Any]:
    member, head = meeting.members[0], meeting.head
    going = meeting.pool.submit(member.barrier, attempt, {}, limit_s=LONG_S, wait=waiting(member))
    head.barrier(attempt, {"scheduler_port": 7}, limit_s=LONG_S, wait=waiting(head))
    return going.result(LONG_S)


def agree(meeting: Meeting, first: End, second: End, *, may_restart: bool = False) -> list[Any]:
    member, head = meeting.members[0], meeting.head
    waits = meeting.pool.submit(
        member.agree, second, BOUNDS, wait=waiting(member), may_restart=False
    )
    judged = head.agree(first, BOUNDS, wait=waiting(head), may_restart=may_restart)
    return [judged, waits.result(LONG_S)]


def test_nodes_learn_of_each_other_and_start_together(meeting: Meeting) -> None:
    joined = meeting.come(1)
    assert {rank: one.nproc for rank, one in meeting.head.gather(LONG_S).items()} == {0: 1, 1: 2}
    meeting.head.start({"workers": "1,2"})
    assert joined.result(LONG_S)["workers"] == "1,2"
    assert line_up(meeting)["scheduler_port"] == 7


def test_what_was_said_is_counted_on_both_sides(met: Meeting) -> None:
    assert [end.code for end in agree(met, ended(0), ended(1))] == [0, 0]
    head, member = met.head.traffic, met.members[0].traffic
    assert (head.messages_received, head.bytes_received) == (
        member.messages_sent,
        member.bytes_sent,
    )
    assert member.messages_received == head.messages_sent
    assert member.messages_sent == 3  # hello, ready, ended


def test_a_good_end_on_all_nodes_is_the_end_of_the_job(met: Meeting) -> None:
    assert [end.code for end in agree(met, ended(0), ended(1))] == [0, 0]


def test_a_stop_reaches_the_other_side_with_the_node_that_said_it(met: Meeting) -> None:
    met.members[0].tell_stop(Halt("rank 3 failed"))
    assert read(met.head) == [Halt("node 1 (h1): rank 3 failed")]


@pytest.mark.parametrize("by_signal", [True, False])
def test_whether_a_signal_was_the_cause_reaches_the_others(by_signal: bool) -> None:
    with closing(Meeting(3)) as three:
        joined = [three.come(1), three.come(2)]
        three.head.gather(LONG_S)
        three.head.start({"workers": "1,2,3"})
        for one in joined:
            one.result(LONG_S)
        three.members[0].tell_stop(Halt("why", by_signal))
        expected = [Halt("node 1 (h1): why", by_signal)]
        assert read(three.head) == expected
        assert read(three.members[1]) == expected


def test_the_failure_on_one_node_is_the_verdict_on_both(met: Meeting) -> None:
    bad = ended(1, Reason.FAILURE, 7, headline="rank 2 failed", report="a\nb")
    for end in agree(met, ended(0, Reason.PEER, 1), bad):
        assert (end.code, end.node_rank, end.headline) == (7, 1, "node 1 (h1): rank 2 failed")
        assert end.report == "a\nb"


def test_a_restart_is_decided_by_node_0_for_all(met: Meeting) -> None:
    bad = ended(1, Reason.FAILURE, 7, may_restart=True)
    ends = agree(met, ended(0, Reason.PEER, 1), bad, may_restart=True)
    assert [end.restarts for end in ends] == [True, True]
    assert line_up(met, 1)["scheduler_port"] == 7
    assert [end.code for end in agree(met, ended(0), ended(1))] == [0, 0]


def test_a_launcher_that_is_gone_is_missed_at_once(met: Meeting) -> None:
    met.members[0].close()
    (halt,) = read(met.head)
    assert halt.why.startswith("node 1 (h1) is lost: ")
    judged = met.head.agree(
        ended(0, Reason.PEER, 1), BOUNDS, wait=waiting(met.head), may_restart=True
    )
    assert (judged.code, judged.restarts) == (1, False)


def test_node_0_that_is_gone_is_missed_at_once(met: Meeting) -> None:
    met.head.close()
    (halt,) = read(met.members[0])
    assert halt.why.startswith("node 0 (h0) is lost: ")
    assert met.members[0].fileno() == -1
    met.head = Head(met.place(0), hello(0), token="x", say=quiet)


def test_a_node_that_ends_before_the_start_ends_the_others_with_its_code(meeting: Meeting) -> None:
    joined = meeting.come(1)
    meeting.head.gather(LONG_S)
    meeting.head.start({"workers": "1,2"})
    joined.result(LONG_S)
    meeting.members[0].give_up(2, "its recipe was refused")
    with pytest.raises(PeerEndedError, match=r"node 1 \(h1\): its recipe was refused") as caught:
        meeting.head.barrier(0, {}, limit_s=LONG_S, wait=waiting(meeting.head))
    assert caught.value.exit_code == 2


def test_a_node_that_was_ready_and_has_left_is_not_started_without(meeting: Meeting) -> None:
    joined = meeting.come(1)
    meeting.head.gather(LONG_S)
    meeting.head.start({"workers": "1,2"})
    joined.result(LONG_S)
    member = meeting.members[0]
    with pytest.raises(StoppedError):
        member.barrier(0, {}, limit_s=LONG_S, wait=lambda limit_s: signal.SIGINT)
    member.give_up(130, "stopped by SIGINT")
    member.close()
    wait_for(lambda: meeting.head.read() or meeting.head.traffic.messages_received == 3)
    with pytest.raises(PeerEndedError, match="stopped by SIGINT") as caught:
        meeting.head.barrier(0, {}, limit_s=LONG_S, wait=waiting(meeting.head))
    assert caught.value.exit_code == 130


def test_a_verdict_counts_though_node_0_has_left_after_it(met: Meeting) -> None:
    bad = ended(0, Reason.FAILURE, 7, headline="rank 0 failed")
    judged = met.head.agree(bad, Bounds(0.0, 0.0), wait=waiting(met.head), may_restart=False)
    met.head.close()
    member = met.members[0]
    heard: list[Halt] = []
    wait_for(lambda: heard.extend(member.read()) or member.fileno() == -1)
    assert heard == [Halt("node 0 (h0): rank 0 failed")]
    own = ended(1, Reason.PEER, 1)
    assert member.agree(own, BOUNDS, wait=waiting(member), may_restart=False) == judged
    met.head = Head(met.place(0), hello(0), token="x", say=quiet)


def test_where_no_worker_could_get_it_a_user_signal_ends_the_wait_for_other_nodes() -> None:
    one, other = socket.socketpair()
    with one, other, Signals() as signals:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wait_for_peers(one, signals)(LONG_S) is None
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wait_for_peers(one, signals, WITHOUT_WORKERS)(LONG_S) == signal.SIGUSR1


def test_missing_nodes_are_named() -> None:
    with closing(Meeting(12)) as many:
        many.come(3)

        def refusal() -> str:
            with pytest.raises(NotReadyError) as caught:
                many.head.gather(0.1)
            return str(caught.value) if many.head.title(3) == "node 3 (h3)" else ""

        assert "10 nodes (1,2,4-11) did not come" in wait_for(refusal)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"token": "guessed"}, "LAUNCHER_TOKEN"),
        ({"nnodes": 3}, "--nnodes"),
        ({"target": "Ascend"}, "--device-target"),
        ({"job": "slurm-9.0"}, "slurm-9.0"),
    ],
)
def test_a_node_that_does_not_fit_is_refused_and_told_why(
    meeting: Meeting, wrong: dict[str, Any], why: str
) -> None:
    gathering = meeting.pool.submit(meeting.head.gather, LONG_S)
    with pytest.raises(UsageError, match=why):
        meeting.come(1, **wrong).result(LONG_S)
    assert any(why in text for text in meeting.said)
    meeting.come(1)
    assert set(gathering.result(LONG_S)) == {0, 1}


def test_a_second_node_of_one_rank_is_refused() -> None:
    with closing(Meeting(3)) as three:
        first = three.come(1)
        gathering = three.pool.submit(three.head.gather, LONG_S)
        wait_for(lambda: three.head.title(1) == "node 1 (h1)")
        with pytest.raises(UsageError, match="is there already, on h1"):
            three.come(1).result(LONG_S)
        assert not first.done()
        three.come(2)
        assert set(gathering.result(LONG_S)) == {0, 1, 2}


def test_a_node_that_leaves_before_the_start_may_come_again() -> None:
    with closing(Meeting(3)) as three:
        gathering = three.pool.submit(three.head.gather, LONG_S)
        line = Line(socket.create_connection(("127.0.0.1", three.port)))
        challenge = wait_for(line.receive)[0]
        line.send(answer(hello(1, 3), "secret", challenge))
        wait_for(lambda: three.head.title(1) == "node 1 (h1)")
        line.close()
        wait_for(lambda: three.head.title(1) == "node 1")
        three.come(1, host="again")
        three.come(2)
        assert gathering.result(LONG_S)[1].host == "again"


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0\xff" * 100 + b"\n", b'{"type": "hello"}\n',
     b"[" * 5000 + b"\n", b"x" * 100_000, b'{"type": "ended", "code": 0}\n', b""],
)  # fmt: skip
def test_strangers_neither_end_nor_delay_a_job(meeting: Meeting, noise: bytes) -> None:
    stranger = socket.create_connection(("127.0.0.1", meeting.port))
    gathering = meeting.pool.submit(meeting.head.gather, LONG_S)
    with stranger:
        try:
            stranger.sendall(noise)
        except OSError:
            assert len(noise) > 1000
        meeting.come(1)
        assert set(gathering.result(LONG_S)) == {0, 1}


def test_something_else_at_the_master_port_is_no_node_0() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"220 mail.example.org ESMTP\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        place = Place(2, 1, "127.0.0.1", server.getsockname()[1])
        with pytest.raises(NotReadyError, match="no launcher of this job"):
            Member(place, hello(1), token="t", say=quiet).join(2.0)


def test_a_port_that_is_taken_is_told_by_both_with_the_name_of_node_0() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        places = [Place(2, rank, "127.0.0.1", port, names=("h0", "h1")) for rank in (0, 1)]
        with pytest.raises(NotReadyError, match=rf"^node 0 \(h0\): 127\.0\.0\.1:{port} is taken"):
            Head(places[0], hello(0), token="t", say=quiet)
        with pytest.raises(NotReadyError, match=rf"^node 0 \(h0\) was not found: .*:{port} is no"):
            Member(places[1], hello(1), token="t", say=quiet).join(1.0)


def test_a_false_node_0_that_does_not_know_the_token_is_not_believed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pretend() -> None:
            connection, _ = server.accept()
            for message in ({"type": "challenge", "nonce": "0"}, {"type": "welcome", "proof": "0"}):
                connection.sendall(json.dumps(message).encode() + b"\n")

        threading.Thread(target=pretend, daemon=True).start()
        place = Place(2, 1, "127.0.0.1", server.getsockname()[1])
        with pytest.raises(NotReadyError, match="no launcher of this job"):
            Member(place, hello(1), token="t", say=quiet).join(2.0)


def read(peers: Any) -> list[Halt]:
    """Return the first words that come."""
    return wait_for(peers.read)


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return the first true value of a condition."""
    deadline_s = time.monotonic() + LONG_S
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        threading.Event().wait(0.01)
    raise AssertionError("waited in vain")
