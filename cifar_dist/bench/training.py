"""The commands of those that train: this project, Model.train, PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

from cifar_dist.bench.contest import Contestant
from cifar_dist.bench.settings import Settings

WORKERS = Path(__file__).parent / "workers"
TRAIN = "cifar_dist.bench.workers.train"
MODEL_TRAIN = "Model.train"
PYTORCH = "PyTorch"


def ours(
    name: str, model: str, settings: Settings, *, batch_size: int, steps: int, ranks: int = 1
) -> Contestant:
    """Train as a user does, one rank alone or several under the launcher (``batch_size`` each)."""
    recipe = [
        "--config",
        f"{model}.yaml",
        f"data.dir={settings.data}",
        "data.source=cifar10",
        "data.global_batch_size=null",
        f"data.batch_size={batch_size}",
        "train.amp=O0",
        "train.epochs=200",
        f"monitor.log_interval={min(steps, 20)}",
    ]
    run_dir = f"--run-dir={settings.folder / f'run_{model}_{name}'}"
    if ranks == 1:
        command = ["-m", TRAIN, run_dir, "--device-target=CPU", *recipe]
    else:
        launcher = [f"--nproc={ranks}", run_dir, "--device-target=CPU", "--hang-timeout=0"]
        command = ["-m", "launcher", *launcher, "--grace=2", "--", "-m", TRAIN, *recipe]
    return Contestant(name, [sys.executable, *command], steps, batch_size * ranks * steps)


def model_train(
    model: str, settings: Settings, *, batch_size: int, steps: int, fixed: bool = False
) -> Contestant:
    """Train with ``mindspore.train.Model.train`` and a mindspore.dataset graph.

    With ``fixed`` it trains on one batch again and again, without a graph.
    """
    command = [
        sys.executable,
        str(WORKERS / "model_train.py"),
        f"--model={model}",
        f"--data={settings.data}",
        f"--batch-size={batch_size}",
    ]
    if not fixed:
        return Contestant(MODEL_TRAIN, command, steps, batch_size * steps)
    return Contestant("fixed", [*command, "--fixed"], steps, batch_size * steps)


def torch_train(
    model: str, python: str, settings: Settings, *, batch_size: int, steps: int
) -> Contestant:
    """Train with PyTorch: channels-last tensors, a DataLoader with one worker process."""
    command = [
        python,
        str(WORKERS / "torch_train.py"),
        f"--model={model}",
        f"--data={settings.data}",
        f"--batch-size={batch_size}",
    ]
    return Contestant(PYTORCH, command, steps, batch_size * steps)


def monitored_loop() -> Contestant:
    """Run the loop over steps that compute nothing; it says what a step costs as ``cost_s``."""
    return Contestant("loop", [sys.executable, str(WORKERS / "monitor.py")], steps=1, images=1)
