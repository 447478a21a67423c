"""What the outputs of a network are called, and how its data set lays out its files."""

from __future__ import annotations

from pathlib import Path

from cifar_dist.config.schema import Config, DataConfig
from cifar_dist.data import cifar10, cifar100, synthetic
from cifar_dist.data.cifar_files import Layout
from cifar_dist.data.source import DEFAULT_FOLDER_100
from cifar_dist.metrics.confusion import row_names

MOST_BYTES = 64 << 10


def class_names(config: Config) -> tuple[str, ...]:
    """Return a name for each output of the network that a recipe trains.

    The names of CIFAR-100 lie beside its images; where they are gone, classes go by number.
    """
    return row_names(_names(config.data)[: config.model.num_classes], config.model.num_classes)


def record_layout(data: DataConfig) -> Layout:
    """Return how a .bin file of the recipe's data set is laid out."""
    return cifar100.LAYOUT if data.source == "cifar100" else cifar10.LAYOUT


def _names(data: DataConfig) -> tuple[str, ...]:
    if data.source == "synthetic":
        return synthetic.CLASSES
    if data.source == "cifar100":
        return _names_of_100(Path(data.dir) if data.dir else DEFAULT_FOLDER_100)
    return cifar10.CLASSES


def _names_of_100(folder: Path) -> tuple[str, ...]:
    for place in (folder, folder / cifar100.FOLDER):
        try:
            with open(place / cifar100.NAMES_FILE, "rb") as file:
                names = tuple(file.read(MOST_BYTES).decode("ascii", "replace").split())
        except OSError:
            continue
        if len(set(names)) == len(names) == cifar100.NUM_CLASSES:
            return names
    return ()
