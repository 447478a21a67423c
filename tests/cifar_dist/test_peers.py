from __future__ import annotations

from pathlib import Path

import pytest

from cifar_dist.peers import Peers

EXIT = '{"time": 1.5, "event": "exit", "attempt": 1, "rank": 0, "pid": 7, "returncode": -9}\n'


PEER = '{"event": "peer", "attempt": 1, "why": "node 1: rank 9 failed", "ranks_are_gone": true}\n'


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (EXIT, True),
        ('{"event": "spawn", "attempt": 1, "rank": 0}\n' + EXIT, True),
        (EXIT.replace('"attempt": 1', '"attempt": 0'), False),
        (EXIT.replace('"rank": 0', '"process": "scheduler"'), False),
        ('{"event": "term", "attempt": 1, "why": "\\"exit\\""}\n', False),
        (PEER, True),
        (PEER.replace("true", "false"), False),
        (PEER.replace('"attempt": 1', '"attempt": 0'), False),
        (EXIT[:40], False),
        ("[]\n", False),
        ("", False),
    ],
)
def test_an_exit_of_a_rank_in_this_attempt_is_told_apart(
    tmp_path: Path, text: str, ended: bool
) -> None:
    (tmp_path / "events.jsonl").write_text(text)
    assert Peers(tmp_path / "events.jsonl", 1).have_ended() == ended


def test_without_events_nothing_is_known(tmp_path: Path) -> None:
    assert not Peers(tmp_path / "events.jsonl", 0).have_ended()
