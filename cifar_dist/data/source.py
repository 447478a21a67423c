"""Which images a recipe means, and where they come from."""

from __future__ import annotations

from pathlib import Path

from cifar_dist.config.schema import DataConfig
from cifar_dist.data.archive import OFFICIAL, Archive
from cifar_dist.data.cifar10 import FOLDER, Split, check_cifar10, is_complete, read_cifar10
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.download import Say, download_cifar10
from cifar_dist.data.synthetic import synthetic_dataset

DEFAULT_FOLDER = Path("data") / FOLDER


def open_dataset(data: DataConfig, split: Split) -> Dataset:
    """Return the images of one split, fetched first where the recipe allows it.

    Args:
        data: the recipe's section.
        split: "train" or "test".

    Raises:
        DataError: the images are missing or damaged; the message says what to do.
        NotReadyError: another process is still fetching them.
    """
    if data.source == "synthetic":
        return synthetic_dataset(split, _synthetic_count(data, split))
    limit = data.max_train_images if split == "train" else data.max_test_images
    return read_cifar10(locate(data), split).first(limit)


def prepare(data: DataConfig, *, say: Say | None = None) -> str:
    """Fetch what is missing and check every file, before any worker waits for another.

    Args:
        data: the recipe's section.
        say: shows a line of progress; default: standard error.

    Returns:
        What the run will train on, in one line.

    Raises:
        DataError, NotReadyError: as :func:`open_dataset`.
    """
    if data.source == "synthetic":
        return f"{_synthetic_count(data, 'train'):,} synthetic images"
    return f"CIFAR-10 in {check_cifar10(locate(data, say=say))}"


def locate(data: DataConfig, *, archive: Archive = OFFICIAL, say: Say | None = None) -> Path:
    """Return the folder of the real images, after a download where it is missing and allowed.

    A download is allowed by data.download=true, and by data.download=null for the default folder.
    It goes into data.dir where that is called cifar-10-batches-bin, else into a folder of that name
    within it.
    """
    folder = Path(data.dir) if data.dir else DEFAULT_FOLDER.absolute()
    allowed = data.download if data.download is not None else data.dir is None
    if not allowed or is_complete(folder) or is_complete(folder / FOLDER):
        return folder
    target = folder if folder.name == FOLDER else folder / FOLDER
    return download_cifar10(target, archive=archive, say=say)


def _synthetic_count(data: DataConfig, split: Split) -> int:
    if split == "train":
        return min(data.synthetic_train_images, data.max_train_images or 2**31)
    return min(data.synthetic_test_images, data.max_test_images or 2**31)
