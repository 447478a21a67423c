"""What a recipe may ask for keeps the invariants of DESIGN, section 6, on real ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import records, train_and_digest

SMALL = (
    "data.source=synthetic",
    "data.synthetic_train_images=320",
    "data.synthetic_test_images=40",
    "data.validation_images=130",
    "eval.batch_size=32",
    "monitor.log_interval=1",
    "train.ema_decay=0.9",
    "optimizer.clip_norm=1",
    "data.cutmix_alpha=1.0",
    "data.mixup_alpha=0.3",
    "data.flip=alternating",
)
SAME_CURVE = (
    *SMALL,
    "data.crop_padding_mode=reflect",
    "model.whitening_images=100",
    "train.lookahead_steps=3",
    "data.cutout_px=8",
    "train.epochs=4",
    "train.max_steps=8",
    "optimizer.name=adamw",
    "optimizer.nesterov=false",
    "optimizer.lr=1e-3",
    "optimizer.lr_for_batch_size=32",
)


def evaluations(run_dir: Path) -> list[dict[str, Any]]:
    return records(run_dir, "eval")


def test_averages_and_batch_norm_end_equal_on_both_ranks(tmp_path: Path) -> None:
    options = ("train.max_steps=3", "train.amp=O2", "data.global_batch_size=32")
    digests = train_and_digest(tmp_path / "run", 2, "quickstart", *SMALL, *options)
    assert digests[0] == digests[1]
    assert any(name.startswith("ema.") and "moving_variance" in name for name in digests[0])
    last, average = evaluations(tmp_path / "run")[-2:]
    assert [last["weights"], average["weights"]] == ["last", "ema"]
    assert [last["split"], last["count"], average["count"]] == ["validation", 130, 130]
    assert records(tmp_path / "run", "end")[0]["ema_accuracy"] == average["accuracy"]


def test_two_ranks_in_parts_have_the_curve_of_one_rank_in_one_part(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train_and_digest(one, 1, "lenet5", *SAME_CURVE)
    train_and_digest(two, 2, "lenet5", *SAME_CURVE, "train.accumulation_steps=4")
    curves = [[record["loss"] for record in records(run, "train")] for run in (one, two)]
    rates = [[record["lr"] for record in records(run, "train")] for run in (one, two)]
    assert len(curves[0]) == 8
    assert rates[0] == rates[1]
    assert max(rates[0]) == pytest.approx(2e-3)
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-3)
    for first, second in zip(evaluations(one), evaluations(two), strict=True):
        assert (first["split"], first["count"]) == ("validation", 130)
        assert first["loss"] == pytest.approx(second["loss"], rel=1e-3)
