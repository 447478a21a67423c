"""A saved network: restored whole, or refused."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from cifar_dist.checkpoint.format import Checkpoint
from cifar_dist.config import Config, find_recipe, load_config
from cifar_dist.engine.inference import InferenceStep, probabilities, restored_network
from cifar_dist.engine.state import AVERAGE, NETWORK
from cifar_dist.errors import CheckpointError
from cifar_dist.models import create_model


def config(name: str, *overrides: str) -> Config:
    return load_config(find_recipe("lenet5"), [f"model.name={name}", *overrides]).config


def checkpoint(name: str, *prefixes: str) -> Checkpoint:
    """Return a checkpoint with weights of their own for each prefix."""
    arrays = {}
    for seed, prefix in enumerate(prefixes):
        network = create_model(name, seed=seed)
        arrays |= {prefix + one.name: one.asnumpy() for one in network.get_parameters()}
    return Checkpoint(1, 1, arrays, "")


def test_the_last_weights_and_their_running_average_are_told_apart() -> None:
    saved = checkpoint("lenet5", NETWORK, AVERAGE)
    for weights, prefix in (("last", NETWORK), ("ema", AVERAGE)):
        network = restored_network(config("lenet5"), saved, origin="x", weights=weights)
        for one in network.get_parameters():
            np.testing.assert_array_equal(one.asnumpy(), saved.arrays[prefix + one.name])


@pytest.mark.parametrize(
    ("saved", "asked"), [("resnet32", "resnet20"), ("resnet20", "resnet32"), ("lenet5", "vgg_a")]
)
def test_a_checkpoint_of_another_model_is_refused(saved: str, asked: str) -> None:
    with pytest.raises(CheckpointError, match="of another model or recipe"):
        restored_network(config(asked), checkpoint(saved, NETWORK), origin="ckpt/step_1")


def test_a_run_without_a_running_average_has_none() -> None:
    with pytest.raises(CheckpointError, match="use --weights last"):
        restored_network(config("lenet5"), checkpoint("lenet5", NETWORK), origin="x", weights="ema")


@pytest.mark.parametrize("amp", ["O0", "O2", "O3"])
def test_a_network_answers_in_the_precision_of_its_recipe(amp: str) -> None:
    ms.set_context(mode=ms.GRAPH_MODE)
    saved = checkpoint("lenet5", NETWORK)
    network = restored_network(config("lenet5", f"train.amp={amp}"), saved, origin="x")
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    found = probabilities(InferenceStep(network), images, batch_size=3)
    assert found.shape == (5, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
