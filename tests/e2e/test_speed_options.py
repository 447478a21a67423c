"""What the speed recipe asks for keeps the invariants of DESIGN, section 6, on real ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import launch, records, succeed, train_and_digest

SPEED94 = (
    "data.source=synthetic",
    "data.synthetic_train_images=256",
    "data.synthetic_test_images=130",
    "data.global_batch_size=32",
    "eval.batch_size=32",
    "monitor.log_interval=1",
    "monitor.tensorboard=false",
    "train.epochs=2",
    "train.amp=O0",
    "train.lookahead_steps=3",
    "eval.flip_average=true",
    "model.whitening_images=100",
    "model.width=0.125",
    "optimizer.lr=0.3",
    "schedule.warmup_epochs=1",
)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, dict[str, str]]]:
    run_dir = tmp_path_factory.mktemp("speed") / "run"
    return run_dir, train_and_digest(run_dir, 2, "speed94", *SPEED94)


def test_fast_and_slow_weights_end_equal_on_both_ranks(two_ranks: Any) -> None:
    run_dir, digests = two_ranks
    assert digests[0] == digests[1]
    assert any(name.startswith("slow.") and "moving_variance" in name for name in digests[0])
    last = records(run_dir, "eval")[-2:]
    assert [record["weights"] for record in last] == ["last", "last_flips"]
    assert [record["count"] for record in last] == [130, 130]


@pytest.mark.slow
def test_a_run_that_goes_on_ends_with_the_same_bits(two_ranks: Any, tmp_path: Path) -> None:
    command = ("--nproc", 2, "--run-dir", tmp_path / "run", "--config", "speed94.yaml", *SPEED94)
    succeed(launch(*command, "train.max_steps=7", cwd=tmp_path))
    succeed(launch("--resume", "auto", *command, cwd=tmp_path))
    whole, parts = (records(run, "train") for run in (two_ranks[0], tmp_path / "run"))
    losses = [[record["loss"] for record in found] for found in (whole, parts)]
    assert losses[0] == losses[1]
    ends = [records(run, "eval")[-1] for run in (two_ranks[0], tmp_path / "run")]
    for key in ("weights", "loss", "confusion_matrix"):
        assert ends[0][key] == ends[1][key]
