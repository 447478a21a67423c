from __future__ import annotations

import os
from pathlib import Path

import pytest

from cifar_dist.checkpoint.left_out import LEFT_OUT, read_left_out, write_left_out
from cifar_dist.errors import CheckpointError

NOTED = {13: "the loss of step 13 is not finite on rank 1 (nan)", 7: "the loss rose"}


def test_what_is_left_out_comes_back_in_the_order_of_steps(tmp_path: Path) -> None:
    write_left_out(tmp_path, NOTED)
    found = read_left_out(tmp_path)
    assert found == NOTED
    assert list(found) == [7, 13]


def test_a_run_that_leaves_nothing_out_has_no_such_file(tmp_path: Path) -> None:
    assert read_left_out(tmp_path) == {}
    assert read_left_out(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "[13]",
        '[{"step": 0, "reason": "x"}]',
        '[{"step": 1}]',
        '[{"step": 1, "reason": "x", "run": "y"}]',
        '[{"step": "1", "reason": "x"}]',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_list_is_one_message_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / LEFT_OUT).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"left_out\.json cannot be read: remove it"):
        read_left_out(tmp_path)


def test_a_pipe_or_a_huge_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LEFT_OUT)
    with pytest.raises(CheckpointError, match="no plain file"):
        read_left_out(tmp_path)
    (tmp_path / LEFT_OUT).unlink()
    with (tmp_path / LEFT_OUT).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="1,073,741,824 bytes, more than"):
        read_left_out(tmp_path)
