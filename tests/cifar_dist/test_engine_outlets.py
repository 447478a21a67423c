"""Records in order, and checkpoints that are written while a run goes on."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.checkpoint.store import list_checkpoints, read_best, save_checkpoint
from cifar_dist.engine import outlets as module
from cifar_dist.engine.outlets import Outlets
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import CheckpointRecord, EndRecord, Record

WAIT_S = 20.0


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.synced = 0

    def record(self, record: Record) -> None:
        self.records.append(record)

    def sync(self) -> None:
        self.synced += 1

    def close(self) -> None:
        return


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, 0, {"a": np.zeros(3, np.float32)}, "model: {}\n")


def outlets(folder: Path, notes: Notes) -> Outlets:
    return Outlets([notes], ProgressFile(None, 0), folder / "ckpt", folder / "report")


END = EndRecord(0.5, 0.5, 1.0, 1.0)


def test_records_wait_for_the_checkpoint_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slow(folder: Path, saved: Checkpoint, *, keep: int) -> Path:
        assert may_write.wait(WAIT_S)
        return save_checkpoint(folder, saved, keep=keep)

    monkeypatch.setattr(module, "save_checkpoint", slow)
    notes = Notes()
    out = outlets(tmp_path, notes)
    out.save(checkpoint(8), keep=1)
    out.record(END)
    assert notes.records == []
    may_write.set()
    assert out.settle() == tmp_path / "ckpt" / "step_00000008"
    saved, end = notes.records
    assert isinstance(saved, CheckpointRecord)
    assert saved == CheckpointRecord(8, "ckpt/step_00000008", saved.save_s)
    assert saved.save_s is not None
    assert end == END
    assert notes.synced == 1
    assert out.settle() is None


def test_a_checkpoint_that_nobody_planned_has_no_record(tmp_path: Path) -> None:
    notes = Notes()
    out = outlets(tmp_path, notes)
    out.save(checkpoint(8), keep=1, is_recorded=False)
    assert out.settle()
    assert notes.records == []


def test_the_next_checkpoint_waits_for_the_one_before(tmp_path: Path) -> None:
    out = outlets(tmp_path, Notes())
    for step in range(1, 9):
        out.save(checkpoint(step), keep=2)
    out.settle()
    assert [path.name[-1] for path in list_checkpoints(tmp_path / "ckpt")] == ["7", "8"]


def test_a_disk_that_takes_nothing_is_said_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ckpt").write_text("in the way")
    notes = Notes()
    out = outlets(tmp_path, notes)
    with caplog.at_level(logging.WARNING):
        out.save(checkpoint(8), keep=1)
        assert out.settle() is None
    out.note_best(8, 0.5)
    out.record(END)
    assert notes.records == [END]
    assert "checkpoint of step 8 cannot be saved" in caplog.text
    assert len(caplog.records) == 1


def test_a_bug_in_writing_reaches_the_training_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "save_checkpoint", broken)
    out = outlets(tmp_path, Notes())
    out.save(checkpoint(8), keep=1)
    with pytest.raises(ZeroDivisionError):
        out.settle()


def test_the_best_is_noted_once_it_is_saved(tmp_path: Path) -> None:
    out = outlets(tmp_path, Notes())
    out.save(checkpoint(8), keep=1)
    out.note_best(8, 0.5)
    assert read_best(tmp_path / "ckpt") == tmp_path / "ckpt" / "step_00000008"
