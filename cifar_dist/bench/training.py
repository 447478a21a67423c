"""The commands of those that train: this project, Model.train, PyTorch."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import gcd
from pathlib import Path

from cifar_dist.bench.contest import Contestant
from cifar_dist.bench.settings import Settings

WORKERS = Path(__file__).parent / "workers"
TORCH_TRAIN = WORKERS / "torch_train.py"
TRAIN = "cifar_dist.bench.workers.train"
MODEL_TRAIN = "Model.train"
PYTORCH = "PyTorch"


def ours(
    name: str, model: str, settings: Settings, *, batch_size: int, steps: int, ranks: int = 1
) -> Contestant:
    """Train as a user does, one rank alone or several under the launcher (``batch_size`` each).

    Without Nesterov's look ahead, which the optimizer of the rivals does not have on a CPU.
    """
    recipe = [
        "--config",
        f"{model}.yaml",
        f"data.dir={settings.data}",
        "data.source=cifar10",
        "data.global_batch_size=null",
        f"data.batch_size={batch_size}",
        "train.amp=O0",
        "optimizer.nesterov=false",
        "train.epochs=200",
        f"monitor.log_interval={gcd(steps, 20)}",  # the gate sees steps that are logged
    ]
    run_dir = f"--run-dir={settings.folder / f'run_{model}_{name}'}"
    if ranks == 1:
        command = ["-m", TRAIN, run_dir, "--device-target=CPU", *recipe]
    else:
        launcher = [f"--nproc={ranks}", "--bind=cores", run_dir, "--device-target=CPU"]
        watches = ["--hang-timeout=0", "--grace=2"]
        command = ["-m", "launcher", *launcher, *watches, "--", "-m", TRAIN, *recipe]
    return Contestant(name, [sys.executable, *command], steps, batch_size * ranks * steps)


def on_core(one: Contestant, core: int) -> Contestant:
    """Return the same program with one core to run on."""
    command = ["taskset", "--cpu-list", str(core), *one.command]
    return replace(one, name=f"{one.name}_on_core_{core}", command=command)


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
    model: str, python: str, settings: Settings, *, batch_size: int, steps: int, ranks: int = 1
) -> Contestant:
    """Train with PyTorch: channels-last, a DataLoader; several ranks by torchrun and DDP."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [
        python,
        *(torchrun if ranks > 1 else []),
        str(TORCH_TRAIN),
        f"--model={model}",
        f"--data={settings.data}",
        f"--batch-size={batch_size}",
    ]
    return Contestant(PYTORCH, command, steps, batch_size * ranks * steps)


def torch_load(python: str, settings: Settings, *, batch_size: int, batches: int) -> Contestant:
    """Make batches with PyTorch's DataLoader and a process for each of two cores."""
    command = [python, str(TORCH_TRAIN), f"--data={settings.data}", f"--batch-size={batch_size}"]
    return Contestant(PYTORCH, [*command, "--workers=2"], batches, batch_size * batches)


def monitored_loop() -> Contestant:
    """Run the loop over steps that compute nothing; it says what a step costs as ``cost_s``."""
    return Contestant("loop", [sys.executable, str(WORKERS / "monitor.py")], steps=1, images=1)
