"""The compiled steps on a tiny network: numbers against NumPy, and what an overflow does."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from cifar_dist.config.schema import Config
from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.engine import step as step_module
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.state import to_arrays, train_parameters
from cifar_dist.engine.step import EvalStep, Normalise, TrainStep

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
WEIGHT = "network.classifier.weight"
LABELS = RNG.integers(0, 10, 8).astype(np.int32)


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


class Linear(nn.Cell):
    """Means over rows and columns, then one dense layer: [N, 3, 32, 32] -> [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        weights = np.random.default_rng(1).standard_normal((10, 3)).astype(np.float32)
        self.classifier = nn.Dense(3, 10, weight_init=Tensor(weights), has_bias=False)

    def construct(self, images: Tensor) -> Tensor:
        return self.classifier(ops.mean(images, (2, 3)))


def recipe(**train: object) -> Config:
    return Config.model_validate(
        {
            "model": {"name": "lenet5"},
            "train": {"epochs": 1, **train},
            "optimizer": {"lr": 0.5, "momentum": 0.0},
        }
    )


def build(config: Config, rates: list[float] | None = None) -> TrainStep:
    network = apply_precision(Linear(), config.train)
    return TrainStep(network, config, np.float32(rates or [0.5] * 4), 1)


def softmax_loss(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted = logits - logits.max(1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    return probabilities, -np.log(probabilities[np.arange(len(LABELS)), LABELS])


def test_bytes_become_mean_zero_and_deviation_one() -> None:
    wanted = (IMAGES / 255 - np.reshape(MEAN_RGB, (3, 1, 1))) / np.reshape(STD_RGB, (3, 1, 1))
    np.testing.assert_allclose(Normalise()(Tensor(IMAGES)).asnumpy(), wanted, atol=1e-5)


def test_a_step_moves_the_weights_down_the_gradient() -> None:
    train_step = build(recipe(amp="O0"))
    weights = train_step.network.classifier.weight.asnumpy().astype(np.float64)
    features = Normalise()(Tensor(IMAGES)).asnumpy().mean((2, 3))
    probabilities, losses = softmax_loss(features @ weights.T)
    loss = train_step(Tensor(IMAGES), Tensor(LABELS))
    np.testing.assert_allclose(float(loss.asnumpy()), losses.mean(), rtol=1e-4)
    errors = (probabilities - np.eye(10)[LABELS]) / len(LABELS)
    moved = weights - 0.5 * errors.T @ features
    np.testing.assert_allclose(train_step.network.classifier.weight.asnumpy(), moved, atol=1e-5)


def test_each_step_has_its_own_rate_and_the_last_one_stays() -> None:
    train_step = build(recipe(amp="O0"), [0.5, 0.0])
    seen = []
    for _ in range(4):
        train_step(Tensor(IMAGES), Tensor(LABELS))
        seen.append(train_step.network.classifier.weight.asnumpy().copy())
    assert all((seen[0] == later).all() for later in seen[1:])
    assert int(train_step.steps.asnumpy()) == 4


def test_an_overflow_skips_the_update_and_halves_a_dynamic_scale() -> None:
    train_step = build(recipe(amp="O2", loss_scale="dynamic"))
    train_step.loss_scale.set_data(Tensor(2.0**30, ms.float32))
    before = to_arrays(train_parameters(train_step))
    loss = train_step(Tensor(IMAGES), Tensor(LABELS))
    after = to_arrays(train_parameters(train_step))
    assert np.isfinite(loss.asnumpy())
    assert (before[WEIGHT] == after[WEIGHT]).all()
    assert after["step.loss_scale"] == 2.0**29
    assert after["step.skipped_steps"] == 1


def test_a_static_scale_skips_but_never_changes() -> None:
    train_step = build(recipe(amp="O2", loss_scale=2.0**30))
    train_step(Tensor(IMAGES), Tensor(LABELS))
    assert float(train_step.loss_scale.asnumpy()) == 2.0**30
    assert int(train_step.skipped_steps.asnumpy()) == 1


def test_a_dynamic_scale_doubles_after_enough_good_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "STEPS_TO_GROW", 2)
    train_step = build(recipe(amp="O2", loss_scale="dynamic"))
    scales = []
    for _ in range(4):
        train_step(Tensor(IMAGES), Tensor(LABELS))
        scales.append(float(train_step.loss_scale.asnumpy()))
    first = step_module.FIRST_LOSS_SCALE
    assert scales == [first, 2 * first, 2 * first, 4 * first]


def test_the_loss_scale_does_not_change_where_the_weights_go() -> None:
    ends = []
    for scale in (1.0, 1024.0):
        train_step = build(recipe(amp="O2", loss_scale=scale))
        for _ in range(3):
            train_step(Tensor(IMAGES), Tensor(LABELS))
        ends.append(to_arrays(train_parameters(train_step))[WEIGHT])
    np.testing.assert_allclose(ends[0], ends[1], rtol=2e-2, atol=2e-3)


def test_evaluation_gives_classes_and_a_loss_for_each_image() -> None:
    network = Linear()
    predicted, losses = EvalStep(network)(Tensor(IMAGES), Tensor(LABELS))
    features = Normalise()(Tensor(IMAGES)).asnumpy().mean((2, 3))
    logits = features @ network.classifier.weight.asnumpy().T
    np.testing.assert_array_equal(predicted.asnumpy(), logits.argmax(1))
    np.testing.assert_allclose(losses.asnumpy(), softmax_loss(logits)[1], rtol=1e-4)
