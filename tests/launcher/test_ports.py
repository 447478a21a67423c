from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from launcher.errors import NotReadyError
from launcher.planning.ports import PortReservation, candidate_ports, port_holder

HOLD = """
import sys
from launcher.planning.ports import PortReservation
ports = PortReservation()
print(ports.choose(), flush=True)
ports.release()
sys.stdin.read()
"""


def test_launches_at_the_same_time_never_get_the_same_port() -> None:
    def start(_: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with ThreadPoolExecutor(8) as pool:
        holders = list(pool.map(start, range(20)))
        ports = [int(holder.stdout.readline()) for holder in holders]
        list(pool.map(lambda holder: holder.communicate(timeout=30), holders))
    assert len(set(ports)) == len(ports)
    assert all(port in candidate_ports() for port in ports)


def test_few_candidates_are_shared_out_without_a_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    some = candidate_ports()[:40]
    monkeypatch.setattr("launcher.planning.ports.candidate_ports", lambda: some)
    everyone = [PortReservation() for _ in range(20)]
    chosen = [one.choose() for one in everyone]
    for one in everyone:
        one.release()
    later = [one.choose() for one in everyone[:10]]
    assert len({*chosen, *later}) == 30
    for one in everyone:
        one.close()


def test_no_candidate_left_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    with PortTaken() as port:
        monkeypatch.setattr(
            "launcher.planning.ports.candidate_ports", lambda: range(port, port + 1)
        )
        with pytest.raises(NotReadyError, match="no free port"):
            PortReservation().choose()


def test_a_released_port_can_be_listened_on_but_not_be_chosen() -> None:
    first = PortReservation()
    port = first.choose()
    first.release()
    with socket.create_server(("127.0.0.1", port)):
        pass
    with pytest.raises(NotReadyError, match="is taken"):
        PortReservation(port).choose()
    first.close()
    second = PortReservation(port)
    assert second.choose() == port
    assert second.choose() == port
    second.close()


def test_a_taken_port_is_refused_with_its_holder() -> None:
    with PortTaken() as port, pytest.raises(NotReadyError) as caught:
        PortReservation(port).choose()
    assert f"--master-port {port} is taken by pid {os.getpid()} (" in str(caught.value)


def test_the_holder_of_a_free_port_is_nobody() -> None:
    assert port_holder(1) == ""


@pytest.mark.parametrize(
    ("text", "last"),
    [("32768\t60999\n", 32767), ("25000 60999", 24999), ("1024 65535", 32767), ("", 32767)],
)
def test_candidates_lie_below_the_range_of_outgoing_connections(
    text: str, last: int, tmp_path: Path
) -> None:
    (tmp_path / "range").write_text(text)
    assert candidate_ports(tmp_path / "range")[-1] == last


class PortTaken:
    """A port that this test listens on."""

    def __enter__(self) -> int:
        self._server = socket.create_server(("127.0.0.1", 0))
        return int(self._server.getsockname()[1])

    def __exit__(self, *error: object) -> None:
        self._server.close()


def test_a_block_is_free_stays_the_same_and_is_no_one_elses() -> None:
    with closing(PortReservation()) as one, closing(PortReservation()) as other:
        first, second = one.choose_block(32), other.choose_block(32)
        assert one.choose_block(32) == first
        assert not set(range(first, first + 32)) & set(range(second, second + 32))
        assert other.choose() not in range(first, first + 32)
        for port in (first, first + 31):
            with socket.socket() as probe:
                probe.bind(("", port))


def test_no_block_left_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    with PortTaken() as port:
        monkeypatch.setattr(
            "launcher.planning.ports.candidate_ports", lambda: range(port, port + 4)
        )
        with pytest.raises(NotReadyError, match="no 4 free ports in a row"):
            PortReservation().choose_block(4)
