"""Fixtures of the trainer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a checkpoint of LeNet-5, as it was drawn, on synthetic images."""
    from cifar_dist.checkpoint.format import Checkpoint
    from cifar_dist.checkpoint.store import save_checkpoint
    from cifar_dist.config import dump_config, find_recipe, load_config
    from cifar_dist.engine.state import NETWORK
    from cifar_dist.models import create_model

    overrides = ["data.source=synthetic", "data.synthetic_test_images=130", "eval.batch_size=32"]
    config = load_config(find_recipe("lenet5"), overrides).config
    network = create_model("lenet5", seed=3)
    arrays = {NETWORK + one.name: one.asnumpy() for one in network.get_parameters()}
    run_dir = tmp_path_factory.mktemp("saved")
    save_checkpoint(run_dir / "ckpt", Checkpoint(7, 1, arrays, dump_config(config)), keep=1)
    return run_dir
