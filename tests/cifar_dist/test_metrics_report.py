"""The whole report of an evaluation, against scikit-learn; and as text."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cifar_dist.errors import NotComputableError
from cifar_dist.metrics.calibration import accumulate_probabilities
from cifar_dist.metrics.decision import Threshold
from cifar_dist.metrics.report import NUMBERS, Report, report
from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.report_table import decision_line, report_table

CLASSES = 6
NAMES = tuple("abcdef")


def evaluate(logits: np.ndarray, truth: np.ndarray, beta: float = 1.0) -> Report:
    guess = logits.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(truth)), truth]
    tally = Tally.empty(CLASSES).plus(truth, guess, losses, np.ones(len(truth), dtype=bool))
    sums = accumulate_probabilities(logits, truth, mask=np.isfinite(logits).all(axis=1))
    return report(tally, sums, NAMES, beta=beta)


def outputs(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, generator.integers(1, CLASSES + 1), count)
    return generator.normal(0, 2, (count, CLASSES)), truth


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 60), beta=st.floats(0.01, 100))
def test_every_number_is_that_of_scikit_learn(seed: int, count: int, beta: float) -> None:
    logits, truth = outputs(seed, count)
    guess = logits.argmax(axis=1)
    found = evaluate(logits, truth, beta)
    close = {"rel": 0, "abs": 1e-12}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.accuracy == pytest.approx(oracle.accuracy_score(truth, guess), **close)
        assert found.mcc == pytest.approx(oracle.matthews_corrcoef(truth, guess), **close)
        for average, numbers in found.averages.items():
            for key, power in (("f1", 1.0), ("f_beta", beta)):
                score = oracle.fbeta_score(
                    truth,
                    guess,
                    beta=power,
                    labels=range(CLASSES),
                    average=average,
                    zero_division=0,
                )
                assert numbers[key] == pytest.approx(score, **close)
        of_classes = oracle.fbeta_score(
            truth, guess, beta=beta, labels=range(CLASSES), average=None, zero_division=0
        )
    assert [row["f_beta"] for row in found.per_class] == pytest.approx(list(of_classes), **close)
    top = oracle.top_k_accuracy_score(truth, logits, k=5, labels=range(CLASSES))
    assert found.top_5 == pytest.approx(top, **close)
    assert found.nll == pytest.approx(found.loss, abs=1e-5)


def test_a_report_is_one_object_of_json() -> None:
    found = evaluate(*outputs(1, 40), beta=2)
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["beta"] == 2
    assert set(values["averages"]) == {"macro", "micro", "weighted"}
    assert set(values["averages"]["macro"]) == set(NUMBERS)
    assert values == found.to_json()


def test_a_number_that_is_none_has_a_note() -> None:
    logits = np.eye(CLASSES)[[0, 0, 1]] * 5
    found = evaluate(logits, np.array([0, 1, 1]))
    assert "macro recall: 4 of 6 have no value and count as 0" in found.notes
    assert any("no image of this class" in note for note in found.per_class[5]["notes"])
    assert not any(note.startswith("micro") for note in found.notes)


def test_outputs_that_are_no_numbers_are_left_out_and_said() -> None:
    logits, truth = outputs(2, 30)
    logits[:3] = np.nan
    found = evaluate(logits, truth)
    assert found.loss is None
    assert found.nll is not None
    assert "the network's outputs for 3 images are no numbers; they are left out" in found.notes[0]
    nothing = evaluate(np.full((4, CLASSES), np.nan), np.zeros(4, dtype=int))
    assert (nothing.top_5, nothing.nll, nothing.brier, nothing.ece) == (None,) * 4
    assert "NLL has no value" in report_table(nothing)


def test_no_images_are_refused() -> None:
    nothing = accumulate_probabilities(np.zeros((0, CLASSES)), [])
    with pytest.raises(NotComputableError, match="nothing was evaluated"):
        report(Tally.empty(CLASSES), nothing, NAMES)


def test_the_table_shows_each_class_each_average_and_the_beta() -> None:
    found = evaluate(*outputs(3, 50), beta=0.5)
    lines = report_table(found).splitlines()
    rows = {line.split()[0]: line.split() for line in reversed(lines) if line}
    assert "F-0.5" in rows["class"]
    assert {*NAMES, "macro", "micro", "weighted", "truth"} <= set(rows)
    macro = [f"{found.averages['macro'][key]:.4f}" for key in NUMBERS]
    assert rows["macro"][-5:] == macro
    assert f"accuracy {found.accuracy:.4f}" in lines[0]


def test_a_threshold_is_printed_to_the_last_digit() -> None:
    line = decision_line("cat", "recall", 0.95, Threshold(1 / 3, 0.5, 0.96))
    assert f"at least {1 / 3!r} " in line
    assert "recall of at least 0.95 for cat" in line
