from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cifar_dist.data.batches import BatchPlan, TrainBatches
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.health.fault import Fault
from cifar_dist.health.report import HINTS, BadNumbers, images_of, message

FAULT = Fault("loss", 7, "the loss of step 7 is not finite on rank 1 (nan)", (1,))


def test_a_report_has_all_that_finds_the_cause(tmp_path: Path) -> None:
    report = BadNumbers(
        FAULT,
        epoch=2,
        losses=["2.3", "nan"],
        loss_scale=1.0,
        lr=0.1,
        images={1: [3]},
        action="stop",
    )
    report.write(tmp_path / "report" / report.file_name)
    found = json.loads((tmp_path / "report" / "bad_numbers_step_7.json").read_text())
    assert (found["kind"], found["step"], found["epoch"], found["ranks"]) == ("loss", 7, 2, [1])
    assert (found["losses"], found["lr"], found["loss_scale"]) == (["2.3", "nan"], 0.1, 1.0)
    assert found["images"] == {"1": [3]}


def test_the_message_says_what_where_and_what_to_do() -> None:
    text = message(FAULT, "report/x.json")
    assert text.startswith(FAULT.text)
    assert "report/x.json" in text
    assert HINTS["loss"] in text


def test_the_images_are_those_that_the_ranks_read_in_that_step() -> None:
    images = synthetic_dataset("train", 40)
    read: dict[int, list[list[int]]] = {}
    for rank in range(2):
        plan = BatchPlan(seed=3, batch_size=4, rank=rank, world_size=2)
        batches = TrainBatches(images, plan).epochs(3)
        read[rank] = [batch.indices.tolist() for batch in batches]
    for step in range(1, 16):
        found = images_of(plan, step, len(images))
        assert found == {rank: read[rank][step - 1] for rank in range(2)}
    assert np.unique([of_rank for of_rank in found.values()]).size == 8
