"""The compiled steps on a tiny network: numbers against NumPy, and what an overflow does."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.config.schema import Config
from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.batches import TrainBatch
from cifar_dist.engine import step as step_module
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.state import load_arrays, load_network, to_arrays, train_parameters
from cifar_dist.engine.step import EvalStep, Normalise, TrainStep, step_inputs
from cifar_dist.errors import CheckpointError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
WEIGHT = "network.classifier.weight"
LABELS = RNG.integers(0, 10, 8).astype(np.int32)
BATCH = (Tensor(IMAGES), Tensor(LABELS))


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


def recipe(
    optimizer: dict[str, object] | None = None,
    data: dict[str, object] | None = None,
    **train: object,
) -> Config:
    return Config.model_validate(
        {
            "model": {"name": "lenet5"},
            "data": data or {},
            "train": {"epochs": 1, **train},
            "optimizer": {"lr": 0.5, "momentum": 0.0, **(optimizer or {})},
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


class Gate(nn.Cell):
    """A weight on the image, and a ReLU that a CPU gives 0 for NaN: a good loss all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Dense(3072, 10)

    def construct(self, images: Tensor) -> Tensor:
        return ops.relu(self.classifier(ops.reshape(images, (-1, 3072))))


@pytest.mark.parametrize(("image", "is_finite"), [(1.0, True), (np.nan, False), (np.inf, False)])
def test_the_loss_is_nan_where_the_gradient_is_not_finite(image: float, is_finite: bool) -> None:
    config = recipe(
        {"nesterov": False}, {"loader": "mindspore", "crop_padding_mode": "mean"}, amp="O0"
    )
    step = TrainStep(Gate(), config, np.float32([0.5]), 1)
    images = np.ones((8, 3, 32, 32), dtype=np.float32)
    images[3, 1, 7, 9] = image
    assert np.isfinite(step(Tensor(images), Tensor(LABELS)).asnumpy()) == is_finite


@pytest.mark.parametrize(("image", "is_finite"), [(1.0, True), (np.nan, False), (np.inf, False)])
def test_where_steps_may_be_skipped_the_loss_is_nan_for_images_that_are_not_finite(
    image: float, is_finite: bool
) -> None:
    config = recipe(
        {"nesterov": False}, {"loader": "mindspore", "crop_padding_mode": "mean"}, amp="O2"
    )
    step = TrainStep(apply_precision(Gate(), config.train), config, np.float32([0.5]), 1)
    images = np.ones((8, 3, 32, 32), dtype=np.float32)
    images[3, 1, 7, 9] = image
    assert np.isfinite(step(Tensor(images), Tensor(LABELS)).asnumpy()) == is_finite
    assert int(step.skipped_steps.asnumpy()) == int(not is_finite)


def test_a_step_that_is_left_out_changes_nothing_but_the_rate_of_the_next() -> None:
    train_step = build(recipe(amp="O0"), [0.5, 0.0, 0.25])
    train_step(*BATCH)
    before = to_arrays(train_parameters(train_step))
    train_step.leave_out()
    after = to_arrays(train_parameters(train_step))
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {
        "step.steps"
    }
    train_step(*BATCH)
    assert int(train_step.steps.asnumpy()) == 3
    assert (train_step.network.classifier.weight.asnumpy() != before[WEIGHT]).any()


def test_a_dynamic_scale_doubles_after_enough_good_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "STEPS_TO_GROW", 2)
    train_step = build(recipe(amp="O2", loss_scale="dynamic"))
    scales = []
    for _ in range(4):
        train_step(Tensor(IMAGES), Tensor(LABELS))
        scales.append(float(train_step.loss_scale.asnumpy()))
    first = step_module.FIRST_LOSS_SCALE
    assert scales == [first, 2 * first, 2 * first, 4 * first]


@pytest.mark.parametrize("amp", ["O0", "O2"])
def test_the_loss_scale_does_not_change_where_the_weights_go(amp: str) -> None:
    ends = []
    for scale in (1.0, 1024.0):
        train_step = build(recipe(amp=amp, loss_scale=scale))
        for _ in range(3):
            train_step(Tensor(IMAGES), Tensor(LABELS))
        ends.append(to_arrays(train_parameters(train_step))[WEIGHT])
    np.testing.assert_allclose(ends[0], ends[1], rtol=2e-2, atol=2e-3)


def test_evaluation_gives_classes_and_a_loss_for_each_image() -> None:
    network = Linear()
    _, predicted, losses = EvalStep(network)(Tensor(IMAGES), Tensor(LABELS))
    features = Normalise()(Tensor(IMAGES)).asnumpy().mean((2, 3))
    logits = features @ network.classifier.weight.asnumpy().T
    np.testing.assert_array_equal(predicted.asnumpy(), logits.argmax(1))
    np.testing.assert_allclose(losses.asnumpy(), softmax_loss(logits)[1], rtol=1e-4)


@pytest.mark.parametrize("amp", ["O0", "O2"])
def test_a_batch_in_parts_moves_the_weights_as_the_whole_one(amp: str) -> None:
    ends, losses = [], []
    for parts in (1, 2, 8):
        train_step = build(recipe(amp=amp, accumulation_steps=parts))
        losses.append([float(train_step(*BATCH).asnumpy()) for _ in range(3)])
        ends.append(to_arrays(train_parameters(train_step))[WEIGHT])
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if amp == "O0" else {"rtol": 1e-2, "atol": 2e-3}
    for end, loss in zip(ends[1:], losses[1:], strict=True):
        np.testing.assert_allclose(end, ends[0], **tolerance)
        np.testing.assert_allclose(loss, losses[0], **tolerance)


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_a_long_gradient_is_shortened_and_a_short_one_is_not(scale: float) -> None:
    moves = {}
    for limit in (None, 1e-3, 1e3):
        train_step = build(recipe({"clip_norm": limit}, amp="O0", loss_scale=scale))
        before = train_step.network.classifier.weight.asnumpy().copy()
        train_step(*BATCH)
        moves[limit] = train_step.network.classifier.weight.asnumpy() - before
    np.testing.assert_allclose(moves[1e3], moves[None], rtol=1e-4)
    assert np.linalg.norm(moves[1e-3]) == pytest.approx(0.5 * 1e-3, rel=1e-2)
    shorter = moves[None] * np.linalg.norm(moves[1e-3]) / np.linalg.norm(moves[None])
    np.testing.assert_allclose(moves[1e-3], shorter, atol=1e-6)


def test_the_average_follows_the_weights_and_can_take_their_place() -> None:
    train_step = build(recipe(amp="O0", ema_decay=0.5))
    weight = train_step.network.classifier.weight
    average, seen = weight.asnumpy().copy(), []
    for step in range(6):
        train_step(*BATCH)
        seen.append(weight.asnumpy().copy())
        keep = min(0.5, (1 + step) / (10 + step))
        average += (1 - keep) * (seen[-1] - average)
    arrays = to_arrays(train_parameters(train_step))
    np.testing.assert_allclose(arrays["ema.classifier.weight"], average, rtol=1e-5)
    assert arrays["step.ema_updates"] == 6
    assert train_step.average_weights is not None
    predict = EvalStep(train_step.network)
    losses = predict(*BATCH)[2].asnumpy()
    with train_step.average_weights.in_place():
        features = Normalise()(Tensor(IMAGES)).asnumpy().mean((2, 3))
        wanted = softmax_loss(features @ average.T)[1]
        np.testing.assert_allclose(predict(*BATCH)[2].asnumpy(), wanted, rtol=1e-4)
    np.testing.assert_array_equal(weight.asnumpy(), seen[-1])
    np.testing.assert_array_equal(predict(*BATCH)[2].asnumpy(), losses)


@pytest.mark.parametrize("loss_scale", [1.0, 16.0])
def test_an_average_that_took_its_place_for_a_while_goes_on_as_before(loss_scale: float) -> None:
    """A loss scale makes the update a branch of the graph, which must see what was exchanged."""
    ends = []
    for looked_at in ((), (1, 3)):
        train_step = build(recipe(amp="O0", loss_scale=loss_scale, ema_decay=0.9))
        assert train_step.average_weights is not None
        for step in range(5):
            train_step(*BATCH)
            if step in looked_at:
                with train_step.average_weights.in_place():
                    pass
        ends.append(to_arrays(train_parameters(train_step)))
    for name, array in ends[0].items():
        np.testing.assert_array_equal(array, ends[1][name], err_msg=name)


@pytest.mark.parametrize("loss_scale", [1.0, 16.0])
def test_a_state_that_is_set_between_two_steps_is_what_the_next_one_goes_on_from(
    loss_scale: float,
) -> None:
    config = recipe({"momentum": 0.9}, amp="O0", loss_scale=loss_scale, ema_decay=0.9)
    train_step = build(config)
    states = []
    for _ in range(4):
        train_step(*BATCH)
        states.append(to_arrays(train_parameters(train_step)))
    load_arrays(train_parameters(train_step), states[1], origin="here")
    for state in states[2:]:
        train_step(*BATCH)
        for name, array in to_arrays(train_parameters(train_step)).items():
            np.testing.assert_array_equal(array, state[name], err_msg=name)


def test_a_skipped_update_leaves_average_and_moments_alone() -> None:
    train_step = build(recipe({"name": "adamw"}, amp="O2", loss_scale=2.0**30, ema_decay=0.9))
    before = to_arrays(train_parameters(train_step))
    train_step(*BATCH)
    after = to_arrays(train_parameters(train_step))
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {"step.steps", "step.skipped_steps"}


def test_the_average_of_a_checkpoint_can_be_loaded_as_a_network() -> None:
    train_step = build(recipe(amp="O0", ema_decay=0.9))
    train_step(*BATCH)
    arrays = to_arrays(train_parameters(train_step))
    network = Linear()
    load_network(network, Checkpoint(1, 0, arrays, ""), origin="here", average=True)
    np.testing.assert_array_equal(
        network.classifier.weight.asnumpy(), arrays["ema.classifier.weight"]
    )
    without = {name: array for name, array in arrays.items() if not name.startswith("ema.")}
    with pytest.raises(CheckpointError, match=r"no 'ema\.classifier\.weight'"):
        load_network(network, Checkpoint(1, 0, without, ""), origin="here", average=True)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_mixed_image_has_the_loss_of_both_its_labels(parts: int, smoothing: float) -> None:
    config = recipe(
        data={"mixup_alpha": 1.0}, label_smoothing=smoothing, accumulation_steps=parts, amp="O0"
    )
    train_step = build(config)
    partner_labels = (LABELS + 3).astype(np.int32) % 10
    share = np.linspace(0, 1, 8).astype(np.float32)
    weights = train_step.network.classifier.weight.asnumpy().astype(np.float64)
    features = Normalise()(Tensor(IMAGES)).asnumpy().mean((2, 3))
    target = share[:, None] * np.eye(10)[LABELS] + (1 - share[:, None]) * np.eye(10)[partner_labels]
    target = (1 - smoothing) * target + smoothing / 10
    probabilities, _ = softmax_loss(features @ weights.T)
    loss = train_step(*BATCH, Tensor(partner_labels), Tensor(share))
    wanted = -(target * np.log(probabilities)).sum(1).mean()
    assert float(loss.asnumpy()) == pytest.approx(wanted, rel=1e-4)
    moved = weights - 0.5 * ((probabilities - target) / 8).T @ features
    np.testing.assert_allclose(train_step.network.classifier.weight.asnumpy(), moved, atol=1e-5)


def test_a_step_takes_partners_and_shares_only_where_images_are_mixed() -> None:
    plain = TrainBatch(IMAGES, LABELS, np.arange(8), 0, 0)
    assert [tensor.shape for tensor in step_inputs(plain)] == [(8, 3, 32, 32), (8,)]
    mixed = plain._replace(partner_labels=LABELS, share=np.ones(8, np.float32))
    assert [tensor.dtype for tensor in step_inputs(mixed)[2:]] == [ms.int32, ms.float32]
