"""Two real ranks train together: the invariants of DESIGN, section 6."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import SCRIPTS, launch, records, succeed

STEPS = 12
SMALL = (
    "data.source=synthetic",
    "data.synthetic_train_images=640",
    "data.synthetic_test_images=130",
    "eval.batch_size=32",
    "monitor.log_interval=1",
    "train.epochs=2",
    f"train.max_steps={STEPS}",
)


def train(tmp_path: Path, nproc: int, *arguments: str) -> Path:
    run_dir = tmp_path / f"ranks_{nproc}"
    script = SCRIPTS / "train_and_digest.py"
    succeed(launch("--nproc", nproc, "--run-dir", run_dir, "--", script, *arguments, cwd=tmp_path))
    return run_dir


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch-norm-free network on two ranks."""
    return train(tmp_path_factory.mktemp("two"), 2, "lenet5", *SMALL)


def digests(run_dir: Path, rank: int) -> dict[str, str]:
    found: dict[str, str] = json.loads((run_dir / f"digests_{rank}.json").read_text())
    return found


def test_weights_are_equal_bit_for_bit_on_both_ranks(two_ranks: Path) -> None:
    assert digests(two_ranks, 0) == digests(two_ranks, 1)


def test_one_rank_has_the_same_loss_curve(two_ranks: Path, tmp_path: Path) -> None:
    one_rank = train(tmp_path, 1, "lenet5", *SMALL)
    curves = [
        [record["loss"] for record in records(run_dir, "train")]
        for run_dir in (one_rank, two_ranks)
    ]
    assert len(curves[0]) == STEPS
    np.testing.assert_allclose(curves[0], curves[1], rtol=2e-4)
    assert [record["world_size"] for record in records(two_ranks, "train")] == [2] * STEPS


def test_mixed_precision_with_batch_norm_ends_equal_on_both_ranks(tmp_path: Path) -> None:
    small = [*SMALL, "train.max_steps=4", "train.amp=O2", "data.global_batch_size=16"]
    run_dir = train(tmp_path, 2, "quickstart", *small)
    assert digests(run_dir, 0) == digests(run_dir, 1)
    assert all(record["loss"] is not None for record in records(run_dir, "train"))


def report(run_dir: Path) -> tuple[dict[str, Any], str]:
    """Return all numbers of an evaluation, and the curve of the class that was asked for."""
    values = json.loads((run_dir / "report" / "evaluation.json").read_text())
    curve = Path(values["decision"].pop("curve"))
    assert curve.parent == run_dir / "report"
    return values, curve.read_text()


def test_every_image_counts_once_on_1_2_and_3_ranks(two_ranks: Path, tmp_path: Path) -> None:
    found, reports = [], []
    wish = ("--beta", 2, "--decision", "fine rings", "--recall", 0.9)
    for nproc in (1, 2, 3):
        run_dir = tmp_path / f"evaluate_{nproc}"
        arguments = ("--", "-m", "cifar_dist", "evaluate", two_ranks, *wish)
        done = launch("--nproc", nproc, "--run-dir", run_dir, *arguments, cwd=tmp_path)
        succeed(done)
        found += records(run_dir, "eval")
        assert "truth" in done.stdout
        reports.append(report(run_dir))
    assert reports[0] == reports[1] == reports[2]
    trained = records(two_ranks, "eval")[-1]
    for record in found:
        assert record["count"] == 130
        for key in ("confusion_matrix", "loss", "accuracy", "per_class"):
            assert record[key] == trained[key]
