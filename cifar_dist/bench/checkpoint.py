"""Saving a training state: ours, whole or not at all, against ``mindspore.save_checkpoint``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cifar_dist.bench.result import Comparison, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread, times_faster

MODEL = "resnet18"


def run(settings: Settings) -> Result:
    """Measure ResNet-18 with its momentum, 90 MB."""
    own_save, rival_save, size = _savers(settings.subfolder("checkpoint"))
    own_save(), rival_save()
    pairs = [(_seconds(own_save), _seconds(rival_save)) for _ in range(settings.repetitions)]
    own, rival = ([1000 * one for one in column] for column in zip(*pairs, strict=True))
    row = Comparison(
        key="checkpoint_save",
        what=f"checkpoint of ResNet-18 and its momentum, {size / 1e6:.0f} MB, synced and renamed",
        own=spread(own),
        rival=spread(rival),
        ratio=spread(times_faster(own, rival)),
        unit="ms",
        rival_name="mindspore.save_checkpoint (not synced)",
    )
    return Result("checkpoint", (row,))


def _savers(folder: Path) -> tuple[Callable[[], Any], Callable[[], Any], int]:
    import mindspore as ms
    import numpy as np
    from mindspore import nn

    from cifar_dist.checkpoint.format import Checkpoint
    from cifar_dist.checkpoint.store import save_checkpoint
    from cifar_dist.models import create_model
    from cifar_dist.runtime.context import enter
    from launcher.contract import RankEnv

    enter(RankEnv(), mode="graph", device_target="CPU")
    network = create_model(MODEL, 10)
    optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
    parameters = {one.name: one for one in (*network.get_parameters(), *optimizer.moments)}

    def own() -> None:
        arrays = {name: np.array(one.asnumpy()) for name, one in parameters.items()}
        checkpoint = Checkpoint(step=1, epoch=1, arrays=arrays, config_yaml="")
        path = save_checkpoint(folder / "own", checkpoint, keep=1)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def rival() -> None:
        saved = [{"name": name, "data": one} for name, one in parameters.items()]
        ms.save_checkpoint(saved, str(folder / "rival.ckpt"))

    return own, rival, sum(one.nbytes for one in parameters.values())


def _seconds(save: Callable[[], Any]) -> float:
    start = time.perf_counter()
    save()
    return time.perf_counter() - start
