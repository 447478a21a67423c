"""Augmented training batches: ours against mindspore.dataset and PyTorch's DataLoader."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from typing import Any

from cifar_dist.bench.contest import Running
from cifar_dist.bench.result import Comparison, Result
from cifar_dist.bench.settings import WITHOUT_PYTORCH, Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import torch_load
from cifar_dist.data.batches import BatchPlan, TrainBatches
from cifar_dist.data.cifar10 import read_cifar10
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation

BATCH_SIZE = 128
STRONG = Augmentation(crop_padding_mode="reflect", flip="alternating", cutout_px=8)
RIVAL = "mindspore.dataset"


def run(settings: Settings) -> Result:
    """Measure crop and flip, then these with cutout, alternating flips and mirrored borders."""
    dataset = read_cifar10(settings.data, "train")
    own_batches, rival_batches = (390, 195) if settings.quick else (780, 390)
    rival = partial(_seconds, _rival(settings), rival_batches)
    rows = []
    for key, augmentation, what, target in (
        ("input", Augmentation(), "crop, flip", 20.0),
        ("input_strong", STRONG, "crop, alternating flip, reflect border, cutout", 12.0),
    ):
        own = partial(_seconds, _own(dataset, augmentation), own_batches)
        own()
        pairs = [(own() / own_batches, rival() / rival_batches) for _ in _turns(settings)]
        rows.append(_row(key, what, pairs, RIVAL, target))
    notes = ["the rivals only crop, flip and normalise"]
    if settings.torch_python:
        rows.append(_against_pytorch(settings, settings.torch_python, dataset, own_batches))
    else:
        notes.append(WITHOUT_PYTORCH)
    return Result("input", tuple(rows), notes=tuple(notes))


def _against_pytorch(
    settings: Settings, python: str, dataset: Dataset, own_batches: int
) -> Comparison:
    batches = 40 if settings.quick else 80
    loader = torch_load(python, settings, batch_size=BATCH_SIZE, batches=batches)
    own = partial(_seconds, _own(dataset, Augmentation()), own_batches)
    with Running(loader, settings.subfolder("input"), settings.timeout_s) as rival:
        own(), rival.turn()
        pairs = [(own() / own_batches, rival.turn()[0] / batches) for _ in _turns(settings)]
    return _row("input_torch", "crop, flip", pairs, "PyTorch's DataLoader")


def _seconds(begin: Callable[[], Iterator[Any]], batches: int) -> float:
    """Time so many batches of a new iterator, from its making on: nothing was made ahead."""
    start = time.perf_counter()
    for _ in islice(begin(), batches):
        pass
    return time.perf_counter() - start


def _turns(settings: Settings) -> range:
    return range(settings.repetitions)


def _own(dataset: Dataset, augmentation: Augmentation) -> Callable[[], Iterator[Any]]:
    plan = BatchPlan(seed=0, batch_size=BATCH_SIZE, augmentation=augmentation)
    epochs = count()
    made = TrainBatches(dataset, plan)
    return lambda: (batch for epoch in epochs for batch in made.epoch(epoch))


def _rival(settings: Settings) -> Callable[[], Iterator[Any]]:
    from cifar_dist.bench.workers.model_train import cifar10

    graph = cifar10(str(settings.data), BATCH_SIZE, workers=2)
    return lambda: iter(graph.create_tuple_iterator(num_epochs=1, output_numpy=True))


def _row(
    key: str,
    what: str,
    pairs: list[tuple[float, float]],
    rival_name: str,
    target: float | None = None,
) -> Comparison:
    """Return a row of images per second from pairs of seconds per batch."""
    own, rival = ([one for one in column] for column in zip(*pairs, strict=True))
    speeds = [spread([BATCH_SIZE / one for one in column]) for column in (own, rival)]
    return Comparison(
        key=key,
        what=f"input, {what}, batches of {BATCH_SIZE}, one thread",
        own=speeds[0],
        rival=speeds[1],
        ratio=spread(times_faster(own, rival)),
        unit="images/s",
        rival_name=f"{rival_name}, both cores",
        target=target,
    )
