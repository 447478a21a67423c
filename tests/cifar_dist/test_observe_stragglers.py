"""Ranks that the launcher names as slow, in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cifar_dist.observe.opening import Opening
from cifar_dist.observe.records import TrainRecord
from cifar_dist.observe.stragglers import Straggler, Stragglers
from cifar_dist.observe.tensorboard import TensorBoard, trim_tensorboard
from launcher.contract import RunPaths
from launcher.supervision.events import EventLog

TEXT = "straggler: rank 1 at step 13 takes 505 ms for a step\n  its host: load 19.0 on 2 cores"
NAMED = "ranks/stragglers/text_summary"


def train_record(step: int) -> TrainRecord:
    return TrainRecord(1, step, 1.25, 0.05, 1234.5, 51.8, 0.2, 1.0, 2)


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path)


@pytest.fixture
def events(paths: RunPaths) -> EventLog:
    """The events of a run that has been resumed, before its ranks train."""
    log = EventLog(paths.events)
    log.write("straggler", attempt=0, rank=0, step=3, text="of the attempt before")
    return log


def board(paths: RunPaths) -> TensorBoard:
    opening = Opening("model:\n  name: lenet5", {"lr": 0.1})
    return TensorBoard(paths.tensorboard, opening, stragglers=Stragglers(paths.root))


def read(paths: RunPaths) -> EventAccumulator:
    found = EventAccumulator(str(paths.tensorboard))
    found.Reload()
    return found


def test_tensorboard_says_who_is_slow_when_and_what_its_host_does(
    paths: RunPaths, events: EventLog
) -> None:
    one = board(paths)
    one.record(train_record(10))
    events.write("straggler", attempt=1, rank=1, step=13, text=TEXT)
    one.record(train_record(20))
    events.write("straggler_end", attempt=1, rank=1, step=25)
    one.record(train_record(30))
    one.close()
    found = read(paths)
    (named,) = found.Tensors(NAMED)
    assert named.step == 13
    assert TEXT in named.tensor_proto.string_val[0].decode()
    slow = [(point.step, point.value) for point in found.Scalars("ranks/stragglers")]
    assert slow == [(10, 0), (20, 1), (30, 0)]


def test_who_was_named_after_the_last_record_is_told_at_the_end(
    paths: RunPaths, events: EventLog
) -> None:
    one = board(paths)
    one.record(train_record(10))
    events.write("straggler", attempt=1, rank=1, step=13, text=TEXT)
    one.close()
    assert len(read(paths).Tensors(NAMED)) == 1


def test_a_run_that_goes_on_from_before_the_step_makes_it_anew(
    paths: RunPaths, events: EventLog
) -> None:
    one = board(paths)
    events.write("straggler", attempt=1, rank=1, step=13, text=TEXT)
    events.write("straggler", attempt=1, rank=1, step=17, text=TEXT)
    one.record(train_record(20))
    one.close()
    trim_tensorboard(paths.tensorboard, 13)
    assert [point.step for point in read(paths).Tensors(NAMED)] == [13]


def test_a_run_without_a_launcher_has_no_such_curve(paths: RunPaths) -> None:
    one = board(paths)
    one.record(train_record(10))
    one.close()
    assert "ranks/stragglers" not in read(paths).Tags()["scalars"]


def test_launchers_of_all_nodes_are_listened_to(paths: RunPaths, events: EventLog) -> None:
    stragglers = Stragglers(paths.root)
    other = EventLog(RunPaths(paths.root, node_rank=1).events)
    other.write("straggler", attempt=0, rank=5, step=8, text=TEXT)
    events.write("straggler", attempt=0, rank=1, step=8, text=TEXT)
    assert [one.rank for one in stragglers.take()] == [1, 5]
    assert stragglers.count == 2
    assert stragglers.take() == []


def test_a_line_counts_once_it_is_whole_and_others_than_ours_are_passed_over(
    paths: RunPaths, events: EventLog
) -> None:
    stragglers = Stragglers(paths.root)
    line = b'{"event": "straggler", "rank": 1, "step": 8, "text": "slow"}\n'
    with paths.events.open("ab") as file:
        for damaged in (
            b'"straggler\n',
            b'["straggler"]\n',
            b'{"event": "straggler"}\n',
            line[:30],
        ):
            file.write(damaged)
        file.flush()
        assert stragglers.take() == []
        file.write(line[30:])
    assert stragglers.take() == [Straggler(1, 8, "slow")]
