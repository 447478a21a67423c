"""Gradients in one message against a message for each, on two ranks."""

from __future__ import annotations

import json
import subprocess
import sys

from cifar_dist.bench.contest import ROOT, BenchError
from cifar_dist.bench.result import Comparison, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread, times_faster

MODELS = {"lenet5": "LeNet-5", "resnet20": "ResNet-20", "resnet18": "ResNet-18"}


def run(settings: Settings) -> Result:
    """Measure the all-reduce alone, without the network."""
    folder = settings.subfolder("reduce")
    output = folder / "seconds.json"
    launcher = ["-m", "launcher", "--nproc=2", "--device-target=CPU", f"--run-dir={folder / 'run'}"]
    worker = ["-m", "cifar_dist.bench.workers.reduce", "--models", *MODELS]
    given = [f"--repetitions={settings.repetitions}", f"--output={output}"]
    command = [sys.executable, *launcher, "--", *worker, *given]
    try:
        subprocess.run(
            command,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=settings.timeout_s,
        )
    except subprocess.SubprocessError as error:
        raise BenchError(f"the ranks could not be measured: {error}") from None
    found = json.loads(output.read_text())
    return Result("reduce", tuple(_row(model, found[model]) for model in MODELS))


def _row(model: str, seconds: dict[str, list[float]]) -> Comparison:
    own, rival = ([1000 * one for one in seconds[kind]] for kind in ("joined", "single"))
    return Comparison(
        key=f"reduce_{model}",
        what=f"average of the gradients of {MODELS[model]}, 2 ranks",
        own=spread(own),
        rival=spread(rival),
        ratio=spread(times_faster(own, rival)),
        unit="ms",
        rival_name="a message each (DistributedGradReducer)",
    )
