"""A run of two nodes that goes on: the disk of node 0 counts, and numbers of ranks may differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import records
from tests.e2e.hosts import Launched, Loopback
from tests.e2e.killing import SMALL

NAMES = """
import os
print("resume", os.environ["LAUNCHER_RESUME"], flush=True)
"""
pytestmark = pytest.mark.timeout(900)
PLAIN = ("--rendezvous", "none", "--console", "all")
LIMIT_S = 300


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Loopback]:
    (tmp_path / "names.py").write_text(NAMES)
    with closing(Loopback(tmp_path)) as both:
        yield both


def on_own_disks(
    nodes: Loopback, disks: Sequence[str], *options: object, command: Sequence[object]
) -> list[Launched]:
    pair = [nodes.launch(rank, "--run-dir", disk, *options, *command)
            for rank, disk in enumerate(disks)]  # fmt: skip
    return [one.wait(LIMIT_S) for one in pair]


def checkpoint(disk: Path, step: int) -> None:
    (disk / "ckpt" / f"step_{step:08}").mkdir(parents=True)


@pytest.mark.slow
def test_a_run_of_4_ranks_on_two_nodes_goes_on_with_2_and_says_so(
    nodes: Loopback, tmp_path: Path
) -> None:
    train = ["--config", "lenet5.yaml", *SMALL]
    disks = ("disk_0", "disk_1")
    first, second = on_own_disks(
        nodes, disks, "--nproc", 2, "--console", "all", command=[*train, "train.epochs=1"]
    )
    assert (first.code, second.code) == (0, 0), first.said + second.said
    assert "on all 2 nodes, as before, each with its own --node-rank:" in first.said
    assert "--nproc 2 --console all --config disk_0/config.yaml --run-dir disk_0" in first.said
    again = [*train, "train.epochs=2"]
    options = ("--nproc", 1, "--resume", "auto", "--console", "all")
    first, second = on_own_disks(nodes, disks, *options, command=again)
    assert (first.code, second.code) == (0, 0), first.said + second.said
    assert "resume     after step 20" in first.said
    assert "4 ranks before, 2 now" in first.said
    trained = [(one["step"], one["world_size"]) for one in records(tmp_path / "disk_0", "train")]
    assert {size for step, size in trained if step <= 20} == {4}
    assert {size for step, size in trained if step > 20} == {2}
    assert max(trained)[0] > 36
    assert [record["epoch"] for record in records(tmp_path / "disk_0", "eval")] == [1, 2]
    assert not (tmp_path / "disk_1" / "ckpt").exists()


def test_only_node_0_needs_the_checkpoint(nodes: Loopback, tmp_path: Path) -> None:
    checkpoint(tmp_path / "disk_0", 7)
    for one in on_own_disks(
        nodes, ("disk_0", "disk_1"), *PLAIN, "--resume", "auto", command=("--", "names.py")
    ):
        assert one.code == 0, one.said
        assert "resume auto" in one.said


@pytest.mark.parametrize(("step", "theirs"), [(None, "has none"), (7, "has one after step 7")])
def test_a_newer_checkpoint_on_another_node_than_0_is_not_lost(
    nodes: Loopback, tmp_path: Path, step: int | None, theirs: str
) -> None:
    checkpoint(tmp_path / "disk_1", 9)
    if step is not None:
        checkpoint(tmp_path / "disk_0", step)
    first, second = on_own_disks(
        nodes, ("disk_0", "disk_1"), *PLAIN, "--resume", "auto", command=("--", "names.py")
    )
    assert (first.code, second.code) == (2, 2), first.said + second.said
    for said in (first.said, second.said):
        assert "disk_1/ckpt on this node has a checkpoint after step 9" in said
        assert theirs in said
    assert "node 1 (" in first.said


def test_with_resume_none_a_run_directory_of_an_earlier_run_is_refused_on_all_nodes(
    nodes: Loopback, tmp_path: Path
) -> None:
    checkpoint(tmp_path / "disk_1", 9)
    first, second = on_own_disks(nodes, ("disk_0", "disk_1"), *PLAIN, command=("--", "names.py"))
    assert (first.code, second.code) == (2, 2), first.said + second.said
    assert "disk_1" in second.said
    assert "node 1 (" in first.said


def test_a_checkpoint_that_node_0_does_not_have_is_refused_before_the_start(
    nodes: Loopback, tmp_path: Path
) -> None:
    first, second = on_own_disks(
        nodes, ("disk_0", "disk_1"), "--resume", "nowhere/ckpt/step_00000003",
        command=("--config", "lenet5.yaml", *SMALL),
    )  # fmt: skip
    assert (first.code, second.code) == (2, 2), first.said + second.said
    assert "nowhere/ckpt/step_00000003" in first.said
    assert "node 0 (" in second.said
    assert not (tmp_path / "disk_0" / "logs").exists()
