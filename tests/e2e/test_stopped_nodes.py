"""A signal to a node that waits, for others or for a restart: all nodes end, with its code."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.hosts import Launched, Loopback

pytestmark = pytest.mark.timeout(900)
PLAIN = ("--rendezvous", "none", "--nproc", 1, "--max-restarts", 5, "--run-dir", "run")
FAILS_ONCE = """
import os, sys, time
if os.environ["LAUNCHER_WORKER_ATTEMPT"] == "0" and os.environ["RANK_ID"] == "1":
    sys.exit(3)
time.sleep(900)
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Loopback]:
    (tmp_path / "worker.py").write_text(FAILS_ONCE)
    with closing(Loopback(tmp_path)) as both:
        yield both


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("told", [0, 1])
def test_a_signal_in_the_pause_before_a_restart_ends_all_nodes(
    nodes: Loopback, tmp_path: Path, told: int, number: signal.Signals
) -> None:
    pair = nodes.pair(*PLAIN, "--", "worker.py")
    wait_for_the_restart(tmp_path / "run", told)
    pair[told].process.send_signal(number)
    for one in pair:
        assert one.wait().code == 128 + number, one.said
        assert number.name in one.said
    for manifest in ("manifest.json", "manifest_node_1.json"):
        assert json.loads((tmp_path / "run" / manifest).read_text())["exit_code"] == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_node_0_while_it_gathers_ends_those_that_have_come(
    nodes: Loopback, number: signal.Signals
) -> None:
    first, second = nodes.pair("--nnodes", 3, *PLAIN, "--", "worker.py")
    wait_for_words(first, "waiting for node 2\n")
    first.process.send_signal(number)
    for one in (first, second):
        assert one.wait().code == 128 + number, one.said
    assert first.said == f"launcher: stopped by {number.name}; nothing was started\n"
    assert f": stopped by {number.name}; nothing was started" in second.said


def wait_for_words(node: Launched, words: str) -> None:
    """Wait until a node has said this."""
    assert node.process.stdout is not None
    for line in node.process.stdout:
        if line.endswith(words):
            return
    raise AssertionError(f"it did not say: {words}")


def wait_for_the_restart(run_dir: Path, node_rank: int) -> None:
    """Wait until a node has said that it will start again."""
    events = run_dir / ("events_node_1.jsonl" if node_rank else "events.jsonl")
    deadline_s = time.monotonic() + 240
    while not (events.exists() and '"restart"' in events.read_text()):
        assert time.monotonic() < deadline_s, "no restart"
        time.sleep(0.01)
