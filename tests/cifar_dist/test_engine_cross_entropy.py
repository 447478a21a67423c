"""The loss against scikit-learn, and against MindSpore's own cell."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from sklearn.metrics import log_loss

from cifar_dist.engine.cross_entropy import CrossEntropy


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


class MeanAndGradient(nn.Cell):
    """The mean loss, and its gradient by the logits."""

    def __init__(self, loss: nn.Cell) -> None:
        super().__init__()
        self.loss = loss
        self.gradient = ops.value_and_grad(self.mean, 0)

    def mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.reduce_mean(self.loss(logits, labels))

    def construct(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return self.gradient(logits, labels)


def drawn(images: int = 64, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    logits = 3 * draw.standard_normal((images, classes)).astype(np.float32)
    return logits, draw.integers(0, classes, images).astype(np.int32)


def test_the_mean_is_that_of_scikit_learn() -> None:
    logits, labels = drawn()
    losses = CrossEntropy()(Tensor(logits), Tensor(labels)).asnumpy()
    assert losses.shape == (64,)
    chances = np.exp(logits.astype(np.float64))
    chances /= chances.sum(axis=1, keepdims=True)
    expected = log_loss(labels, chances, labels=range(10))
    assert losses.mean() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_losses_and_gradient_are_those_of_mindspores_cell(smoothing: float) -> None:
    logits, labels = map(Tensor, drawn(classes=7))
    own = MeanAndGradient(CrossEntropy(smoothing))(logits, labels)
    usual = nn.CrossEntropyLoss(label_smoothing=smoothing)
    expected = MeanAndGradient(usual)(logits, labels)
    for found, wanted in zip(own, expected, strict=True):
        np.testing.assert_allclose(found.asnumpy(), wanted.asnumpy(), rtol=1e-5, atol=1e-7)


def test_large_logits_do_not_overflow() -> None:
    logits = np.float32([[1e4, -1e4, 0], [-1e4, 1e4, 0]])
    losses = CrossEntropy()(Tensor(logits), Tensor(np.int32([0, 0]))).asnumpy()
    assert losses.tolist() == [0, 2e4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_logit_that_is_no_number_makes_its_image_loss_none(bad: float) -> None:
    logits, labels = drawn(images=4)
    logits[2, 5] = bad
    losses = CrossEntropy()(Tensor(logits), Tensor(labels)).asnumpy()
    assert np.isfinite(losses).tolist() == [True, True, False, True]
