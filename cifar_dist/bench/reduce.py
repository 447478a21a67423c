"""Gradients in one message against a message for each, on two ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from cifar_dist.bench.contest import ROOT, TAIL_CHARS, BenchError
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
    run_ranks(command, timeout_s=settings.timeout_s)
    found = json.loads(output.read_text())
    return Result("reduce", tuple(_row(model, found[model]) for model in MODELS))


def run_ranks(command: Sequence[str], *, timeout_s: float) -> None:
    """Run a command to its end.

    Raises:
        BenchError: it failed or took too long; the end of what it said is in the message.
    """
    pipe = subprocess.PIPE
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        said, why = error.output, f"they took over {timeout_s:g} s"
    else:
        if done.returncode == 0:
            return
        said, why = done.stdout, f"exit code {done.returncode}"
    tail = (said or b"").decode("utf-8", "replace")[-TAIL_CHARS:]
    raise BenchError(f"the ranks could not be measured: {why}; the end of what they said:\n{tail}")


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
