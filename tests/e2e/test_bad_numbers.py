"""A poisoned batch and a rank whose weights drift, on two real ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import SCRIPTS, launch, records

STEP = 7
SMALL = (
    "--config=lenet5",
    "data.source=synthetic",
    "data.synthetic_train_images=640",
    "data.synthetic_test_images=40",
    "data.global_batch_size=32",
    "data.loader=mindspore",
    "data.crop_padding_mode=mean",
    "train.epochs=1",
    "monitor.tensorboard=false",
)
"""The loader is the one whose images are floats: bytes cannot be NaN."""


def train_with(fault: str, run_dir: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Let rank 1 have a fault; return the last lines that a user sees, and the only report."""
    script = SCRIPTS / "train_with_fault.py"
    options = ("--nproc", 2, "--run-dir", run_dir, "--", script)
    done = launch(*options, fault, 1, STEP, *SMALL, *arguments, cwd=run_dir.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (report,) = (run_dir / "report").glob("bad_numbers_step_*.json")
    found: dict[str, Any] = json.loads(report.read_text())
    return done.stderr, found


def test_a_poisoned_batch_is_found_within_the_interval_with_its_rank_and_images(
    tmp_path: Path,
) -> None:
    shown, report = train_with("poison", tmp_path / "run", "monitor.log_interval=5")
    assert f"the loss of step {STEP} is not finite on rank 1 (nan)" in shown
    assert (report["kind"], report["step"], report["ranks"]) == ("loss", STEP, [1])
    assert [float(loss) > 0 for loss in report["losses"]] == [True, False]
    assert len({image for of_rank in report["images"].values() for image in of_rank}) == 32
    assert [record["step"] for record in records(tmp_path / "run", "train")] == [5, 10]


def test_one_changed_weight_is_found_within_the_interval_with_its_name(tmp_path: Path) -> None:
    options = ("monitor.log_interval=5", "monitor.drift_interval_steps=6")
    shown, report = train_with("drift", tmp_path / "run", *options)
    assert "weights of ranks 0, 1 are not equal after step 12" in shown
    assert "it cannot be told which are right" in shown
    assert (report["kind"], report["step"], report["ranks"]) == ("drift", 12, [0, 1])
    assert report["parameters"] == ["classifier.bias"]
    assert not list((tmp_path / "run").glob("ckpt/step_*"))
