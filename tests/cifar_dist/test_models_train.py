"""Every network through the trainer's own step, once, in O0 and in O2."""

from __future__ import annotations

from collections.abc import Iterator

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from cifar_dist.config.schema import Config
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.step import TrainStep
from cifar_dist.models.registry import create_model, list_models

BATCH = 8
FIRST_SCALE = 2.0**9
MOST_SKIPPED = 9
"""Deep networks overflow float16 at first: the dynamic loss scale halves until they do not. It
starts lower here than in a run (2^16), as each try of 152 layers takes ten seconds."""


@pytest.fixture(autouse=True)
def step_by_step() -> Iterator[None]:
    """Without compiling: a graph of 152 layers takes longer to compile than to run."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def recipe(name: str, amp: str) -> Config:
    return Config.model_validate(
        {
            "model": {"name": name},
            "train": {"epochs": 1, "amp": amp, "loss_scale": "dynamic"},
            "optimizer": {"lr": 0.05, "weight_decay": 5e-4},
        }
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("amp", ["O0", "O2"])
@pytest.mark.parametrize("name", list_models())
def test_one_training_step_changes_every_parameter(name: str, amp: str) -> None:
    config = recipe(name, amp)
    network = apply_precision(create_model(name, seed=1), config.train)
    step = TrainStep(network, config, np.float32([0.05]), 1)
    step.loss_scale.set_data(Tensor(np.float32(FIRST_SCALE)))
    before = {one.name: one.asnumpy().copy() for one in network.trainable_params()}
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (BATCH, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(BATCH, dtype=np.int32)
    for tried in range(MOST_SKIPPED + 1):
        loss = step(Tensor(images), Tensor(labels))
        if int(step.skipped_steps.asnumpy()) == tried:
            break
    assert np.isfinite(loss.asnumpy())
    for parameter in network.trainable_params():
        after = parameter.asnumpy()
        assert np.isfinite(after).all(), parameter.name
        assert not np.array_equal(after, before[parameter.name]), parameter.name
