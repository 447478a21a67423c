"""Every rank averages gradients of one network, joined and one by one, turn by turn.

Rank 0 writes the seconds of each into the file that it is given.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from cifar_dist.engine.average import Joined
from cifar_dist.models import create_model
from cifar_dist.runtime.context import enter
from launcher.contract import RankEnv


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    context = enter(RankEnv.from_environ(os.environ), mode="graph", device_target="CPU")
    found = {}
    for model in args.models:
        found[model] = measure(model, args.repetitions, context.world_size)
    if context.is_main:
        args.output.write_text(json.dumps(found))


def measure(model: str, repetitions: int, world_size: int) -> dict[str, list[float]]:
    """Return seconds of one average, by its kind."""
    weights = create_model(model, 10).trainable_params()
    gradients = tuple(Tensor(np.ones(weight.shape, np.float32)) for weight in weights)
    kinds: dict[str, nn.Cell] = {
        "joined": Joined(weights, world_size),
        "single": nn.DistributedGradReducer(weights, True, world_size),
    }
    calls = max(2, int(20e6 / sum(one.nbytes for one in gradients)))
    calls = min(calls, 40)
    for kind in kinds.values():
        _seconds(partial(kind, gradients), 1)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repetitions):
        for name, kind in kinds.items():
            seconds[name].append(_seconds(partial(kind, gradients), calls))
    return seconds


def _seconds(average: Callable[[], tuple[Tensor, ...]], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        average()[0].asnumpy()
    return (time.perf_counter() - start) / calls


if __name__ == "__main__":
    main()
