"""One rank that trains: what it holds while it does."""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.commands import train
from cifar_dist.data.dataset import Dataset
from cifar_dist.engine import start as engine_start
from cifar_dist.observe.records import Observer

SMALL = (
    "data.source=synthetic",
    "data.synthetic_train_images=64",
    "data.synthetic_test_images=64",
    "data.global_batch_size=null",
    "data.batch_size=16",
    "eval.batch_size=16",
    "monitor.tensorboard=false",
)


class Held:
    """Counts which of the arrays that it was shown are still there when a run has its records."""

    def __init__(self) -> None:
        self._arrays: list[Any] = []
        self.counts: list[int] = []

    def show(self, array: Any) -> None:
        self._arrays.append(weakref.ref(array))

    @property
    def has_seen(self) -> bool:
        return bool(self._arrays)

    def record(self, record: object) -> None:
        self.counts.append(sum(one() is not None for one in self._arrays))

    def sync(self) -> None:
        """It has nothing to bring to the disk."""

    def close(self) -> None:
        """It has nothing to close."""


def run(run_dir: Path, held: Held, *more: str) -> None:
    def observers() -> Sequence[Observer]:
        return [held]

    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers())
    words = ["train", "--config=lenet5", f"--run-dir={run_dir}", "--device-target=CPU"]
    args = parser.parse_args([*words, *SMALL, *more])
    assert train.run(args, more_observers=observers) == 0


def test_a_run_holds_neither_the_raw_images_nor_the_checkpoint_that_it_went_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches have the images once more, padded; the network and the optimizer the arrays."""
    images, arrays = Held(), Held()
    open_dataset, from_parts = train.open_dataset, engine_start.from_parts

    def opened(data: Any, split: Any) -> Dataset:
        found = open_dataset(data, split)
        if split == "train":
            images.show(found.images_nchw)
        return found

    def read(parts: Any, *, origin: object) -> Any:
        found = from_parts(parts, origin=origin)
        for array in found.arrays.values():
            arrays.show(array)
        return found

    monkeypatch.setattr(train, "open_dataset", opened)
    monkeypatch.setattr(engine_start, "from_parts", read)
    run(tmp_path / "run", images, "train.epochs=1")
    assert images.has_seen
    assert set(images.counts) == {0}
    run(tmp_path / "run", arrays, "train.epochs=2", "--resume=auto")
    assert arrays.has_seen
    assert set(arrays.counts) == {0}
