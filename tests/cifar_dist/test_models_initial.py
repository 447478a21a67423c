"""First weights depend on the seed and on nothing else."""

from __future__ import annotations

import hashlib

import mindspore as ms
import numpy as np
import pytest

from cifar_dist.models.initial import draw_weights, normal
from cifar_dist.models.registry import create_model


def weights(network: object) -> dict[str, np.ndarray]:
    return {name: p.asnumpy() for name, p in network.parameters_and_names()}  # type: ignore[attr-defined]


def digest(network: object) -> str:
    found = hashlib.sha256()
    for name, values in sorted(weights(network).items()):
        found.update(name.encode() + values.tobytes())
    return found.hexdigest()


def test_one_seed_gives_one_network_whatever_was_drawn_before() -> None:
    first = digest(create_model("seresnet20", seed=5))
    np.random.seed(99)  # which MindSpore's own initialisers listen to
    ms.set_seed(123)
    create_model("lenet5", seed=7)
    assert digest(create_model("seresnet20", seed=5)) == first


def test_seeds_differ_in_every_random_weight() -> None:
    one, two = (
        weights(create_model("seresnet20", seed=0)),
        weights(create_model("seresnet20", seed=1)),
    )
    for name in one:
        if name.endswith(".weight"):
            assert not np.array_equal(one[name], two[name]), name


def test_tensors_of_one_shape_differ_within_a_network() -> None:
    drawn = weights(create_model("resnet20"))
    same_shape = [drawn[name].tobytes() for name in drawn if drawn[name].shape == (16, 16, 3, 3)]
    assert len(set(same_shape)) == len(same_shape) == 6


def test_the_stream_of_a_name_is_pinned() -> None:
    """A change here changes the start of every run, on every machine: it must be meant."""
    drawn = normal("conv1.weight", (4,), seed=0)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, [0.15772113, 0.21292941, -1.6646446, -0.8192503], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "weight", "std"),
    [
        ("resnet18", "conv1.weight", (2 / (9 * 64)) ** 0.5),
        ("resnet18", "layer2.0.conv1.weight", (2 / (9 * 128)) ** 0.5),
        ("resnet18", "classifier.weight", (1 / (3 * 512)) ** 0.5),
        ("lenet5", "fc1.weight", (2 / 400) ** 0.5),
        ("seresnet50", "layer1.0.se.conv_reduce.weight", (2 / 256) ** 0.5),
        ("seresnet50", "layer1.0.se.conv_expand.weight", (1 / 16) ** 0.5),
    ],
)
def test_spread_is_that_of_the_paper(name: str, weight: str, std: float) -> None:
    values = weights(create_model(name))[weight]
    assert values.std() == pytest.approx(std, rel=5 / values.size**0.5)
    assert abs(values.mean()) < 5 * std / values.size**0.5


def test_norms_and_biases_start_neutral() -> None:
    for name, values in weights(create_model("seresnet20")).items():
        kind = name.rsplit(".", 1)[1]
        if kind in ("gamma", "moving_variance"):
            assert (values == 1).all(), name
        elif kind != "weight":
            assert (values == 0).all(), name


@pytest.mark.parametrize(("name", "last"), [("resnet20", "bn2"), ("resnet50", "bn3")])
def test_last_gamma_of_each_block_can_start_at_zero(name: str, last: str) -> None:
    for parameter, values in weights(create_model(name, zero_init_last_gamma=True)).items():
        if parameter.endswith(".gamma"):
            ends_a_block = parameter.startswith("layer") and f".{last}." in parameter
            assert (values == (0 if ends_a_block else 1)).all(), parameter


def test_without_a_seed_random_weights_are_zero_until_drawn() -> None:
    network = create_model("lenet5", seed=None)
    assert not network.conv1.weight.asnumpy().any()
    draw_weights(network, seed=5)
    assert digest(network) == digest(create_model("lenet5", seed=5))
