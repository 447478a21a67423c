"""Whitening filters against NumPy, in a network, on real ranks' sums."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from cifar_dist.config.schema import TrainConfig
from cifar_dist.data.augment import normalise
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.data.whitening import whitening_filters
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.whitening import set_whitening
from cifar_dist.models import create_model
from cifar_dist.models.whitening import whitening_layers
from cifar_dist.runtime.collectives import Alone


@pytest.fixture(scope="module")
def images() -> Dataset:
    """600 images that have edges and colours, over which patches have no constant direction."""
    dataset = synthetic_dataset("train", 600)
    noise = np.random.default_rng(0).integers(0, 40, dataset.images_nchw.shape, dtype=np.uint8)
    mixed = (dataset.images_nchw.astype(np.uint16) * 4 // 5 + noise).astype(np.uint8)
    return Dataset(mixed, dataset.labels, dataset.classes, dataset.origin)


def patches_of(images_nchw: np.ndarray) -> np.ndarray:
    """All 2 x 2 patches, one a row: float64[N 31 31, 12], cut out one corner at a time."""
    pixels = normalise(images_nchw).astype(np.float64)
    corners = [pixels[:, :, y : y + 31, x : x + 31] for y in (0, 1) for x in (0, 1)]
    stacked = np.stack(corners, axis=2)  # N, C, corner, 31, 31
    return stacked.transpose(0, 3, 4, 1, 2).reshape(-1, 12)


def test_whitened_patches_are_uncorrelated_and_of_one_strength(images: Dataset) -> None:
    filters = whitening_filters(images.images_nchw, eps=1e-9)
    outputs = patches_of(images.images_nchw) @ filters[:12].reshape(12, 12).T
    np.testing.assert_allclose(np.cov(outputs.T, bias=True), np.eye(12), atol=2e-3)


def test_filters_are_orthogonal_scaled_eigenvectors_and_their_negatives(images: Dataset) -> None:
    eps = 5e-4
    filters = whitening_filters(images.images_nchw, eps=eps).reshape(24, 12).astype(np.float64)
    np.testing.assert_array_equal(filters[12:], -filters[:12])
    variances = np.linalg.eigvalsh(np.cov(patches_of(images.images_nchw).T, bias=True))[::-1]
    np.testing.assert_allclose(
        filters[:12] @ filters[:12].T, np.diag(1 / (variances + eps)), rtol=1e-3, atol=1e-3
    )


def test_the_layer_of_a_network_whitens_what_it_sees(images: Dataset) -> None:
    for name in ("speed94", "lenet5"):
        network = create_model(name, width=1 / 16) if name == "speed94" else whitened_lenet()
        set_whitening(network, images, Alone(), images=None, rank=0)
        (layer,) = whitening_layers(network)
        shown = normalise(images.images_nchw[:200])
        outputs = layer.conv(Tensor(shown)).asnumpy()[:, :12, :31, :31]
        seen = outputs.transpose(1, 0, 2, 3).reshape(12, -1)
        strengths = np.cov(seen)
        np.testing.assert_allclose(np.diag(strengths), 1, atol=0.2)
        assert np.abs(strengths - np.diag(np.diag(strengths))).max() < 0.2


def whitened_lenet() -> object:
    return create_model("lenet5", whitening=True)


class SumOfTwo:
    """A group of two ranks, as the sum of what each of them gives."""

    world_size = 2

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def sum_floats(self, values: np.ndarray) -> np.ndarray:
        self.given.append(values)
        return np.sum(self.given, axis=0, dtype=np.float32)

    def sum_counts(self, counts: np.ndarray) -> np.ndarray:
        return counts


def test_all_ranks_get_the_filters_of_rank_0(images: Dataset) -> None:
    group = SumOfTwo()
    other = Dataset(images.images_nchw[::-1], images.labels, images.classes, images.origin)
    networks = [create_model("speed94", width=1 / 16) for _ in range(2)]
    set_whitening(networks[0], images, group, images=300, rank=0)
    set_whitening(networks[1], other, group, images=300, rank=1)
    ((first,), (second,)) = (whitening_layers(network) for network in networks)
    found = first.conv.weight.asnumpy()
    np.testing.assert_array_equal(found, second.conv.weight.asnumpy())
    np.testing.assert_array_equal(found, whitening_filters(images.images_nchw[:300]))


@pytest.mark.parametrize("amp", ["O0", "O2"])
def test_any_network_can_have_a_whitening_layer_in_front(images: Dataset, amp: str) -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    train = TrainConfig.model_validate({"epochs": 1, "amp": amp})
    network = apply_precision(create_model("resnet20", whitening=True), train)
    set_whitening(network, images, Alone(), images=100, rank=0)
    network.set_train(False)
    logits = network(Tensor(normalise(images.images_nchw[:4]))).asnumpy()
    assert logits.shape == (4, 10)
    assert np.isfinite(logits.astype(np.float32)).all()
    frozen = [one.name for one in network.get_parameters() if not one.requires_grad]
    assert "whitening.conv.weight" in frozen
    assert "whitening.conv.bias" in {one.name for one in network.trainable_params()}
