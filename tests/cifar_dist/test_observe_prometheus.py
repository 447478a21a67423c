"""metrics.prom, read back by Prometheus' own parser."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.prometheus import FAMILIES, PrometheusFile, exposition, samples_of
from cifar_dist.observe.records import (
    CheckpointRecord,
    EndRecord,
    EvalRecord,
    TrainRecord,
    eval_record,
)


def train_record(step: int = 20, loss: float | None = 1.25) -> TrainRecord:
    return TrainRecord(
        epoch=1,
        step=step,
        loss=loss,
        lr=0.05,
        images_per_s=1234.5,
        step_ms=51.8,
        data_wait_ms=0.2,
        loss_scale=1024.0,
        world_size=2,
    )


def evaluation(classes: tuple[str, str] = ("cat", "dog")) -> EvalRecord:
    tally = Tally.empty(2).plus([0, 0, 1], [0, 1, 1], [0.5, 1.5, 1.0], [True] * 3)
    return eval_record(tally, classes, epoch=1, step=20, eval_s=0.5)


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by name and labels, the run's own label left out."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("gauge", "counter")
        for sample in family.samples:
            labels = tuple((k, v) for k, v in sorted(sample.labels.items()) if k != "run")
            assert (sample.name, labels) not in found
            assert sample.labels["run"]
            found[sample.name, labels] = sample.value
    return found


def test_a_run_is_read_back_by_the_parser_of_prometheus(tmp_path: Path) -> None:
    path = tmp_path / "metrics.prom"
    observer = PrometheusFile(path, run="lenet5/1", clock=lambda: 1000.0)
    records = (train_record(), evaluation(), CheckpointRecord(20, "ckpt"))
    for record in (*records, EndRecord(0.7, 0.7, 12.5, 3.5)):
        observer.record(record)
    observer.close()
    found = parsed(path.read_text())
    of_test = (("split", "test"), ("weights", "last"))
    assert found["cifar_dist_steps_total", ()] == 20
    assert found["cifar_dist_step_seconds", ()] == pytest.approx(0.0518)
    assert found["cifar_dist_data_wait_seconds", ()] == pytest.approx(0.0002)
    assert found["cifar_dist_loss", (("split", "train"),)] == 1.25
    assert found["cifar_dist_loss", (("split", "test"),)] == pytest.approx(1.0)
    assert found["cifar_dist_accuracy_ratio", of_test] == pytest.approx(2 / 3)
    assert found["cifar_dist_class_f1_ratio", (("class", "cat"), *of_test)] == pytest.approx(2 / 3)
    assert found["cifar_dist_checkpoint_step", ()] == 20
    assert found["cifar_dist_training_seconds", ()] == 12.5
    assert found["cifar_dist_finished", ()] == 1
    assert found["cifar_dist_last_record_timestamp_seconds", ()] == 1000.0
    assert {name for name, _ in found} == set(FAMILIES)


def test_a_loss_that_is_not_finite_is_nan(tmp_path: Path) -> None:
    text = exposition(list(samples_of(train_record(loss=None))), run="r")
    assert math.isnan(parsed(text)["cifar_dist_loss", (("split", "train"),)])


@given(run=st.text(min_size=1), name=st.text())
def test_any_name_survives_as_a_label(run: str, name: str) -> None:
    text = exposition(list(samples_of(evaluation((name, name + "x")))), run=run)
    runs, classes = set(), set()
    for family in text_string_to_metric_families(text):
        runs |= {sample.labels["run"] for sample in family.samples}
        classes |= {s.labels["class"] for s in family.samples if "class" in s.labels}
    assert runs == {run}
    assert classes == {name, name + "x"}


def test_records_that_follow_closely_are_written_together(tmp_path: Path) -> None:
    path, now = tmp_path / "metrics.prom", [100.0]
    observer = PrometheusFile(path, run="r", clock=lambda: now[0])
    observer.record(train_record(step=1))
    observer.record(train_record(step=2))
    assert parsed(path.read_text())["cifar_dist_steps_total", ()] == 1
    now[0] += 1.0
    observer.record(train_record(step=3))
    assert parsed(path.read_text())["cifar_dist_steps_total", ()] == 3
    observer.record(train_record(step=4))
    observer.close()
    assert parsed(path.read_text())["cifar_dist_steps_total", ()] == 4


def test_a_folder_that_is_gone_ends_no_run(tmp_path: Path, caplog: object) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    observer = PrometheusFile(blocked / "metrics.prom", run="r")
    observer.record(train_record())
    observer.record(evaluation())
    observer.close()
    assert str(caplog.text).count("cannot be written") == 1  # type: ignore[attr-defined]
