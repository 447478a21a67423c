"""Which images a recipe means, and where they come from."""

from __future__ import annotations

from pathlib import Path

from cifar_dist.config.schema import DataConfig
from cifar_dist.data import cifar10, cifar100
from cifar_dist.data.archive import OFFICIAL, Archive
from cifar_dist.data.cifar_files import FileSplit, Split
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.download import Say, download_cifar10
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.data.validation import held_out
from cifar_dist.errors import DataError

DEFAULT_FOLDER = Path("data") / cifar10.FOLDER
DEFAULT_FOLDER_100 = Path("data") / cifar100.FOLDER


def split_for_training(data: DataConfig) -> Split:
    """Return which images are evaluated while training."""
    return "validation" if data.validation_images else "test"


def open_dataset(data: DataConfig, split: Split) -> Dataset:
    """Return the images of one split, fetched first where the recipe allows it.

    Args:
        data: the recipe's section.
        split: "train": without those held out; "validation": those held out; "test".

    Raises:
        DataError: the images are missing, damaged or fewer than are to be held out; the message
            says what to do.
        NotReadyError: another process is still fetching them.
    """
    if split == "test":
        return _read(data, "test").first(data.max_test_images)
    whole = _read(data, "train")
    if not data.validation_images:
        return whole.first(data.max_train_images)
    if data.validation_images >= len(whole):
        raise DataError(
            f"'data.validation_images' ({data.validation_images:,}) leaves nothing to train on: "
            f"there are {len(whole):,} training images"
        )
    chosen = held_out(whole.labels, data.validation_images, seed=data.validation_seed)
    if split == "validation":
        return whole.where(chosen)
    return whole.where(~chosen).first(data.max_train_images)


def count_training_images(data: DataConfig) -> int:
    """Return how many images a recipe trains on, without reading one."""
    if data.source == "synthetic":
        whole = data.synthetic_train_images
    else:
        layout = cifar100.LAYOUT if data.source == "cifar100" else cifar10.LAYOUT
        whole = sum(layout.records["train"].values())
    left = max(0, whole - data.validation_images)
    return left if data.max_train_images is None else min(left, data.max_train_images)


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
        count = min(data.synthetic_train_images, data.max_train_images or 2**31)
        return f"{count:,} synthetic images"
    if data.source == "cifar100":
        return f"CIFAR-100 in {cifar100.check_cifar100(locate_100(data))}"
    return f"CIFAR-10 in {cifar10.check_cifar10(locate(data, say=say))}"


def locate(data: DataConfig, *, archive: Archive = OFFICIAL, say: Say | None = None) -> Path:
    """Return the folder of CIFAR-10, after a download where it is missing and allowed.

    A download is allowed by data.download=true, and by data.download=null for the default folder.
    It goes into data.dir where that is called cifar-10-batches-bin, else into a folder of that name
    within it.
    """
    folder = Path(data.dir) if data.dir else DEFAULT_FOLDER.absolute()
    allowed = data.download if data.download is not None else data.dir is None
    present = cifar10.is_complete(folder) or cifar10.is_complete(folder / cifar10.FOLDER)
    if not allowed or present:
        return folder
    target = folder if folder.name == cifar10.FOLDER else folder / cifar10.FOLDER
    return download_cifar10(target, archive=archive, say=say)


def locate_100(data: DataConfig) -> Path:
    """Return the folder where CIFAR-100 should be; it is not fetched.

    Raises:
        DataError: the recipe asks for a download.
    """
    if data.download:
        raise DataError(
            "'data.download' (true) fetches CIFAR-10 only; for CIFAR-100\n  "
            f"{cifar100.LAYOUT.remedy}"
        )
    return Path(data.dir) if data.dir else DEFAULT_FOLDER_100.absolute()


def _read(data: DataConfig, split: FileSplit) -> Dataset:
    """Return all images of the files, or all that are made."""
    if data.source == "synthetic":
        train, test = data.synthetic_train_images, data.synthetic_test_images
        return synthetic_dataset(split, train if split == "train" else test)
    if data.source == "cifar100":
        return cifar100.read_cifar100(locate_100(data), split)
    return cifar10.read_cifar10(locate(data), split)
